-- Versions of gatehouse.yaml that were in force, so that each can be restored.
create table config_history (
  id integer primary key autoincrement,
  at integer not null, -- epoch milliseconds
  by_kind text not null,
  by_id text not null,
  by_name text not null,
  sha text not null,
  text text not null
);
