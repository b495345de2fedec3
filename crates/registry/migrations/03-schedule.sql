-- When the node backs it up by itself, as JSON; NULL for only when asked for.
ALTER TABLE sources ADD COLUMN schedule TEXT;
