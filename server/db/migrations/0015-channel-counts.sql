-- How much went through each channel is asked with every look at them, and who waits to be let in with every
-- message of a stranger.
create index channel_inbox_channel on channel_inbox (channel, at);
create index channel_outbox_state on channel_outbox (channel, state);
create index channel_pairings_pending on channel_pairings (expires_at) where state = 'pending';
