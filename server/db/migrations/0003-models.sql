-- Times are epoch milliseconds.
create table providers (
  id integer primary key autoincrement,
  name text not null,
  framework text not null,
  kind text not null check (kind in ('llm', 'tts', 'stt')),
  base_url text,
  -- Sealed with the key of the home; a reference such as ${OPENAI_API_KEY} is sealed like a key.
  api_key text,
  -- What may be shown of it.
  api_key_display text not null,
  enabled integer not null,
  -- JSON object.
  metadata text not null,
  -- Grows with each change, so that connections made with the old settings are dropped.
  version integer not null,
  created_at integer not null,
  updated_at integer not null,
  unique (name, framework)
) strict;

create table models (
  id integer primary key autoincrement,
  provider_id integer not null references providers (id) on delete cascade,
  model text not null,
  kind text not null check (kind in ('llm', 'tts', 'stt', 'embedding')),
  display_name text,
  tier_hint text,
  enabled integer not null,
  is_classifier integer not null,
  metadata text not null,
  -- What the provider or a catalogue said of it: JSON with source, context_window, max_output_tokens and prices.
  facts text,
  created_at integer not null,
  updated_at integer not null,
  unique (provider_id, model)
) strict;

-- Providers that were found by themselves once; one that was deleted does not come back.
create table detected_providers (
  name text primary key,
  at integer not null
) strict;
