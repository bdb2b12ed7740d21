-- What was spent this month is asked by time; a session that is made or deleted looks for what belongs to it.
create index model_calls_by_time on model_calls (at);
create index approvals_by_session on approvals (sid);
create index tool_rules_by_session on tool_rules (sid) where sid is not null;
-- The few messages whose buttons can still be pressed.
create index channel_outbox_buttons on channel_outbox (key) where buttons_open = 1;
