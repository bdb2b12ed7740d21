-- Messages from chat platforms. Stored before they are acknowledged; a second delivery of one finds it here.
-- Times are epoch milliseconds.
create table channel_inbox (
  id integer primary key,
  channel text not null,
  -- What the platform knows the message by; unique in the channel.
  event_id text not null,
  chat_type text not null,
  chat_id text not null,
  -- Empty where there are no threads.
  thread_id text not null,
  sender_id text not null,
  sender_name text not null,
  message_id text not null,
  reply_to text,
  text text not null,
  -- JSON of a file that is not fetched yet: kind and address.
  media text,
  -- JSON of the file once it is here.
  attachment text,
  session_id text not null,
  -- JSON of the model and the instructions that a rule adds; null without.
  route text,
  -- new: will be answered; context: told with the next question; record: only kept; command: a slash command to run;
  -- turn: part of `ask_id`; done.
  state text not null check (state in ('new', 'context', 'record', 'command', 'turn', 'done')),
  ask_id text,
  at integer not null,
  unique (channel, event_id)
) strict;
create index channel_inbox_open on channel_inbox (state, channel, chat_id, thread_id, id)
  where state in ('new', 'context', 'command');
create index channel_inbox_ask on channel_inbox (ask_id, id) where ask_id is not null;
create index channel_inbox_message on channel_inbox (channel, chat_id, message_id);
create index channel_inbox_at on channel_inbox (at);

-- One question to the agent: messages of one person that came close together, and what became of them.
create table channel_asks (
  -- Also the idempotency key of the turn, with the number of the attempt.
  id text primary key,
  channel text not null,
  chat_type text not null,
  chat_id text not null,
  thread_id text not null,
  sender_id text not null,
  sender_name text not null,
  session_id text not null,
  route text,
  -- The newest of its messages; the reply quotes it.
  reply_to text not null,
  -- open: not in its session yet; asked: `turn_id` answers it; answered, dropped: over.
  state text not null check (state in ('open', 'asked', 'answered', 'dropped')),
  attempt integer not null,
  turn_id text,
  created_at integer not null
) strict;
create index channel_asks_open on channel_asks (state, id) where state in ('open', 'asked');
create index channel_asks_turn on channel_asks (turn_id, id) where turn_id is not null;
create index channel_asks_at on channel_asks (created_at);

-- What is to be sent, in order within a chat.
create table channel_outbox (
  ord integer primary key,
  -- The request id of its command, the same at each resend.
  id text not null unique,
  -- What it is the answer to, so that it is written once.
  key text unique,
  channel text not null,
  chat_type text not null,
  chat_id text not null,
  thread_id text not null,
  kind text not null check (kind in ('send', 'edit', 'media')),
  -- JSON: text, reply_to, buttons, attachment, target of an edit.
  body text not null,
  state text not null check (state in ('waiting', 'sent', 'dead', 'discarded')),
  attempts integer not null,
  error text,
  -- The platform's id of the message, once it is there.
  message_id text,
  -- 1 while its buttons can be pressed.
  buttons_open integer not null,
  -- Who caused it; may press its buttons.
  requester_id text,
  session_id text,
  turn_id text,
  created_at integer not null,
  next_at integer not null,
  sent_at integer
) strict;
create index channel_outbox_waiting on channel_outbox (channel, chat_id, ord) where state = 'waiting';
create index channel_outbox_dead on channel_outbox (channel, ord) where state = 'dead';
create index channel_outbox_message on channel_outbox (channel, chat_id, message_id) where message_id is not null;
create index channel_outbox_turn on channel_outbox (turn_id) where turn_id is not null;
create index channel_outbox_at on channel_outbox (created_at);

-- People of channels: who was seen, who is paired, and what becomes of their words.
create table channel_people (
  channel text not null,
  person_id text not null,
  name text not null,
  disposition text check (disposition in ('allow', 'passive', 'silent', 'block')),
  paired integer not null,
  trusted integer not null,
  messages integer not null,
  last_seen_at integer,
  primary key (channel, person_id)
) strict;

create table channel_groups (
  channel text not null,
  chat_id text not null,
  allowed integer,
  activation text check (activation in ('mention', 'always')),
  disposition text check (disposition in ('allow', 'passive', 'silent', 'block')),
  messages integer not null,
  last_seen_at integer,
  primary key (channel, chat_id)
) strict;

create table channel_pairings (
  id text primary key,
  channel text not null,
  code text not null,
  person_id text not null,
  person_name text not null,
  chat_id text not null,
  thread_id text not null,
  state text not null check (state in ('pending', 'approved', 'rejected')),
  decided_by text,
  created_at integer not null,
  expires_at integer not null
) strict;
create index channel_pairings_person on channel_pairings (channel, person_id, created_at);

-- Rules of where messages go, in their order.
create table channel_routes (
  position integer primary key,
  rule text not null
) strict;
