-- What a plugin that is started on demand registered when it last ran, as JSON, so that its tools are known without it.
alter table plugins add column registered text;
