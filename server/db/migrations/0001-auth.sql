-- Who may call. Times are epoch milliseconds; secrets are kept only as SHA-256 (base64url).

create table handles (
  handle text primary key,
  created_at integer not null
) strict;

create table api_keys (
  id text primary key,
  hash text not null unique,
  -- The first characters, so that people can tell keys apart.
  prefix text not null,
  name text not null,
  handle text not null references handles (handle),
  -- JSON array of read, chat, admin.
  scopes text not null,
  created_by text not null,
  created_at integer not null,
  expires_at integer,
  last_used_at integer
) strict;

create table browsers (
  id text primary key,
  hash text not null unique,
  name text not null,
  handle text not null references handles (handle),
  scopes text not null,
  -- The API key that opened this session, which ends with it.
  key_id text references api_keys (id) on delete cascade,
  address text not null,
  created_at integer not null,
  last_seen_at integer not null,
  -- Slides with use, up to ends_at.
  expires_at integer not null,
  ends_at integer
) strict;

create index browsers_by_handle on browsers (handle);

create table login_links (
  hash text primary key,
  -- A short code for typing; the link carries the long one.
  short_hash text unique,
  kind text not null check (kind in ('first', 'login', 'pairing')),
  handle text not null,
  scopes text not null,
  created_by text not null,
  created_at integer not null,
  expires_at integer not null
) strict;

create table audit (
  id integer primary key autoincrement,
  at integer not null,
  actor_kind text not null,
  actor_id text not null,
  actor_name text not null,
  handle text not null,
  action text not null,
  target text not null,
  -- JSON object, without secrets.
  detail text not null,
  address text not null
) strict;

create index audit_by_action on audit (action, id);
