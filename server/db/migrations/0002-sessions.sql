-- A session belongs to a handle; its id is chosen by the client, so it is unique only within the handle.
create table sessions (
  sid integer primary key,
  handle text not null,
  id text not null,
  title text,
  title_by_user integer not null default 0,
  model text,
  queue_policy text,
  pinned integer not null default 0,
  origin text not null default 'chat',
  parent_sid integer references sessions (sid) on delete cascade,
  client_id text,
  agent text,
  branched_from_session text,
  branched_from_message text,
  message_count integer not null default 0,
  -- Messages before this id were cleared: kept in the log, shown and sent to nobody.
  visible_from integer not null default 0,
  -- Messages before this id are folded into the summary.
  history_from integer not null default 0,
  summary text,
  created_at integer not null,
  last_active_at integer not null,
  unique (handle, id)
) strict;
create index sessions_by_activity on sessions (handle, pinned desc, last_active_at desc, sid desc);
create index sessions_by_parent on sessions (parent_sid) where parent_sid is not null;

create table turns (
  tid integer primary key,
  id text not null unique,
  sid integer not null references sessions (sid) on delete cascade,
  state text not null check (state in ('queued', 'running', 'awaiting_approval', 'completed', 'failed', 'interrupted')),
  -- Order within the session's queue; rewritten when the queue is rearranged.
  ord integer not null,
  -- Not started before this time, so that a burst of texts can join it (epoch ms).
  not_before integer not null default 0,
  input text not null,
  model text,
  used_model text,
  text text,
  error text,
  caller text not null,
  idempotency_key text,
  idempotency_hash text,
  created_at integer not null,
  started_at integer,
  finished_at integer
) strict;
create index turns_open on turns (sid, ord) where state in ('queued', 'running', 'awaiting_approval');
create index turns_by_session on turns (sid, tid);
create unique index turns_by_idempotency on turns (sid, idempotency_key) where idempotency_key is not null;

-- The event log: each row holds the events of one turn in an interval of offsets, as a JSON array.
create table turn_segments (
  last_offset integer primary key,
  first_offset integer not null,
  sid integer not null references sessions (sid) on delete cascade,
  turn_id text not null,
  events text not null
) strict;
create index turn_segments_by_session on turn_segments (sid, last_offset);
create index turn_segments_by_turn on turn_segments (turn_id, last_offset);

-- Each start of the server begins a new epoch above every offset that could have been handed out before:
-- offsets in (lost_after, from_offset) may have been seen by a live reader and were never committed.
create table event_epochs (
  from_offset integer primary key,
  lost_after integer not null,
  reserved_to integer not null
) strict;

-- The transcript, projected from the log when a turn ends (the user's message when it starts).
create table messages (
  mid integer primary key,
  sid integer not null references sessions (sid) on delete cascade,
  turn_id text not null,
  role text not null check (role in ('user', 'assistant', 'tool', 'compaction')),
  step integer not null default 0,
  text text not null,
  data text,
  -- Superseded by a retry.
  hidden integer not null default 0,
  at integer not null
) strict;
create index messages_by_session on messages (sid, mid);
create index messages_by_turn on messages (turn_id);

create virtual table messages_fts using fts5 (
  text, content = 'messages', content_rowid = 'mid', tokenize = 'unicode61 remove_diacritics 2'
);
create trigger messages_fts_insert after insert on messages when new.role in ('user', 'assistant') begin
  insert into messages_fts (rowid, text) values (new.mid, new.text);
end;
create trigger messages_fts_delete after delete on messages when old.role in ('user', 'assistant') begin
  insert into messages_fts (messages_fts, rowid, text) values ('delete', old.mid, old.text);
end;

-- What each model call used, for the context meter and the ledger.
create table model_calls (
  id integer primary key,
  sid integer not null references sessions (sid) on delete cascade,
  turn_id text not null,
  model text not null,
  input_tokens integer not null,
  output_tokens integer not null,
  cache_read_tokens integer not null default 0,
  reasoning_tokens integer not null default 0,
  estimated integer not null default 0,
  cost_usd real,
  at integer not null
) strict;
create index model_calls_by_session on model_calls (sid, id);

-- A call that waits for a yes; its arguments are frozen at the time of asking.
create table approvals (
  id text primary key,
  sid integer not null references sessions (sid) on delete cascade,
  turn_id text not null,
  call_id text not null,
  tool text not null,
  arguments text not null,
  reason text not null,
  state text not null check (state in ('pending', 'allow_once', 'allow_session', 'allow_always', 'deny', 'expired', 'cancelled')),
  decided_by text,
  created_at integer not null,
  expires_at integer not null,
  decided_at integer
) strict;
create index approvals_pending on approvals (expires_at) where state = 'pending';
create index approvals_by_turn on approvals (turn_id);

-- Standing answers that came from "for this session" (sid set) and "always" (sid null).
create table approval_grants (
  handle text not null,
  sid integer references sessions (sid) on delete cascade,
  tool text not null,
  created_at integer not null
) strict;
create unique index approval_grants_once on approval_grants (handle, coalesce(sid, 0), tool);
