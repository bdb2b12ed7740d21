-- Fingerprint of the GATEHOUSE_TOKEN that opened this session, which ends when the token is changed.
alter table browsers add column owner_token text;
