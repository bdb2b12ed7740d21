-- What the owner decided about tools. Times are epoch milliseconds.
create table tool_rules (
  id text primary key,
  handle text not null,
  -- A rule is written by its owner and has a place in a list; a grant came from the answer to a question.
  kind text not null check (kind in ('rule', 'grant')),
  position integer not null default 0,
  decision text not null check (decision in ('allow', 'ask', 'deny')),
  -- A name, or a pattern with asterisks.
  tool text not null,
  -- CEL; null is always true.
  condition text,
  -- Canonical JSON of the only arguments that a grant covers; null covers all.
  arguments text,
  -- The only session that a grant covers; null covers all.
  sid integer references sessions (sid) on delete cascade,
  note text not null default '',
  created_by text not null,
  created_at integer not null
) strict;
create index tool_rules_by_handle on tool_rules (handle, kind, position);
create unique index tool_grants_once on tool_rules (handle, tool, coalesce(sid, 0), coalesce(arguments, ''))
  where kind = 'grant';
insert into tool_rules (id, handle, kind, decision, tool, sid, created_by, created_at)
  select 'grant-' || lower(hex(randomblob(10))), handle, 'grant', 'allow', tool, sid, '', created_at
  from approval_grants;
drop table approval_grants;

-- Through which door a question was answered, why, and what a standing yes was for.
alter table approvals add column via text;
alter table approvals add column decision_reason text;
alter table approvals add column pattern text;
-- JSON: what a standing yes may be for, as it was shown.
alter table approvals add column patterns text not null default '[]';

-- Each row names the hash of the one before; rows that are older than the chain have none.
alter table audit add column prev_hash text not null default '';
alter table audit add column hash text not null default '';

create index messages_of_tools on messages (mid) where role = 'tool';
