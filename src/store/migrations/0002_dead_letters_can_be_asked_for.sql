-- When a dead letter was asked for again: its time of trying counts from there.
ALTER TABLE deliveries ADD COLUMN asked INTEGER;

DROP INDEX deliveries_dead;
CREATE INDEX deliveries_dead ON deliveries (app, sid, sequence) WHERE dead IS NOT NULL;
CREATE INDEX deliveries_pending ON deliveries (app, sid, sequence) WHERE delivered IS NULL AND dead IS NULL;
