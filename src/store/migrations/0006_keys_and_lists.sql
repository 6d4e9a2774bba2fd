-- What callers' Idempotency-Keys did. `number` rises by one within an app, so that the span between an app's lowest and highest bounds
-- how many it has. Exactly one of `resource` (call acquire) and `sid` (call start) is set.
CREATE TABLE idempotency_keys (
    app       TEXT NOT NULL,
    call      TEXT NOT NULL,
    key       TEXT NOT NULL,
    number    INTEGER NOT NULL,
    request   BLOB NOT NULL,
    created   INTEGER NOT NULL,
    resource  TEXT REFERENCES resources (id) ON DELETE CASCADE,
    sid       TEXT REFERENCES sessions (sid) ON DELETE CASCADE,
    PRIMARY KEY (app, call, key)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX idempotency_keys_by_number ON idempotency_keys (app, number);
CREATE INDEX idempotency_keys_by_resource ON idempotency_keys (resource) WHERE resource IS NOT NULL;
CREATE INDEX idempotency_keys_by_session ON idempotency_keys (sid) WHERE sid IS NOT NULL;

-- An app's recordings, newest first: all, of one channel, and those that are few.
DROP INDEX sessions_by_app;
CREATE INDEX sessions_by_app ON sessions (app, created, sid);
CREATE INDEX sessions_by_channel ON sessions (app, cname, created, sid);
CREATE INDEX sessions_open_by_app ON sessions (app, created, sid) WHERE state IN ('starting', 'recording', 'stopping');
CREATE INDEX sessions_failed_by_app ON sessions (app, created, sid) WHERE state = 'failed';
