-- Times are milliseconds since 1970-01-01 UTC.

-- When an event was passed over, because its app does not want events of its type.
ALTER TABLE deliveries ADD COLUMN passed INTEGER;

DROP INDEX deliveries_pending;
CREATE INDEX deliveries_pending ON deliveries (app, sid, sequence)
    WHERE delivered IS NULL AND dead IS NULL AND passed IS NULL;
CREATE INDEX deliveries_by_app ON deliveries (app, sid, sequence);

-- The last attempts to deliver an event; `status` is the receiver's answer, if it gave one, `took` in milliseconds.
CREATE TABLE delivery_attempts (
    sid       TEXT NOT NULL,
    sequence  INTEGER NOT NULL,
    number    INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    took      INTEGER NOT NULL,
    status    INTEGER,
    error     TEXT,
    PRIMARY KEY (sid, sequence, number),
    FOREIGN KEY (sid, sequence) REFERENCES deliveries (sid, sequence) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Channel events for receivers. `sid` is the channel's session; the columns of delivery mean what they mean in `deliveries`.
CREATE TABLE channel_events (
    sid         TEXT NOT NULL,
    sequence    INTEGER NOT NULL,
    app         TEXT NOT NULL,
    notice_id   TEXT NOT NULL UNIQUE,
    event_type  INTEGER NOT NULL,
    payload     TEXT NOT NULL,
    written     INTEGER NOT NULL,
    due         INTEGER,
    attempts    INTEGER NOT NULL DEFAULT 0,
    delivered   INTEGER,
    dead        INTEGER,
    passed      INTEGER,
    asked       INTEGER,
    last_error  TEXT,
    PRIMARY KEY (sid, sequence)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX channel_events_next ON channel_events (sid) WHERE due IS NOT NULL;
CREATE INDEX channel_events_due ON channel_events (app, due) WHERE due IS NOT NULL;
CREATE INDEX channel_events_dead ON channel_events (app, sid, sequence) WHERE dead IS NOT NULL;
CREATE INDEX channel_events_pending ON channel_events (app, sid, sequence)
    WHERE delivered IS NULL AND dead IS NULL AND passed IS NULL;
CREATE INDEX channel_events_by_app ON channel_events (app, sid, sequence);
CREATE INDEX channel_events_by_age ON channel_events (written);

CREATE TABLE channel_attempts (
    sid       TEXT NOT NULL,
    sequence  INTEGER NOT NULL,
    number    INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    took      INTEGER NOT NULL,
    status    INTEGER,
    error     TEXT,
    PRIMARY KEY (sid, sequence, number),
    FOREIGN KEY (sid, sequence) REFERENCES channel_events (sid, sequence) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
