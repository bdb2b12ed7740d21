-- What the owner decided about plugins, by the name that each has in this server. Times are epoch milliseconds.
create table plugins (
  name text primary key,
  enabled integer not null default 0,
  -- The surface that was accepted, as JSON, and its hash.
  accepted text,
  accepted_hash text,
  -- JSON of the settings that are no secrets.
  config text not null default '{}',
  -- JSON: sealed values by the name of the secret.
  secrets text not null default '{}',
  -- Why it is not started any more; null when it may be.
  quarantined text,
  -- JSON: where it was installed from, its integrity, when; null for one that somebody put there.
  installed text,
  updated_at integer not null
) strict;

-- The small store that each plugin has.
create table plugin_state (
  plugin text not null,
  key text not null,
  value text not null,
  updated_at integer not null,
  primary key (plugin, key)
) strict, without rowid;
