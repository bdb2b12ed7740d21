-- Which turn took a message that was sent under a key: a turn that joins several messages has the keys of all.
create table message_keys (
  sid integer not null references sessions (sid) on delete cascade,
  key text not null,
  hash text not null,
  turn_id text not null references turns (id) on delete cascade,
  primary key (sid, key)
) strict, without rowid;
create index message_keys_by_turn on message_keys (turn_id);
insert into message_keys (sid, key, hash, turn_id)
  select sid, idempotency_key, idempotency_hash, id from turns where idempotency_key is not null;
drop index turns_by_idempotency;
alter table turns drop column idempotency_key;
alter table turns drop column idempotency_hash;
