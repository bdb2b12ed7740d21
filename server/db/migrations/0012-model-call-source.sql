-- Who asked the model, where that is not the turn itself: `mcp:<server>`.
alter table model_calls add column source text not null default '';
