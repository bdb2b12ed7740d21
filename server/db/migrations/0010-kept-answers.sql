-- What a request under an Idempotency-Key was answered, sealed and kept for a day; null while it runs, or was cut off.
create table kept_answers (
  principal text not null,
  key text not null,
  hash text not null,
  answer text,
  at integer not null,
  primary key (principal, key)
) strict, without rowid;
create index kept_answers_by_age on kept_answers (at);
