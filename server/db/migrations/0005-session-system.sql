-- What a client added to the system prompt of one session (OpenAgent's "[system]" frame).
alter table sessions add column system_prompt text;
