-- All times are milliseconds since 1970-01-01 UTC. Secrets are only ever in sessions.sealed.

CREATE TABLE sessions (
    sid       TEXT PRIMARY KEY,
    app       TEXT NOT NULL,
    cname     TEXT NOT NULL,
    uid       TEXT NOT NULL,
    resource  TEXT NOT NULL,
    mode      TEXT NOT NULL,
    state     TEXT NOT NULL,
    created   INTEGER NOT NULL,
    ended     INTEGER,
    request   TEXT NOT NULL,
    summary   TEXT,
    sealed    BLOB
) STRICT;

-- One running recording for each app, channel and recorder uid (code 53).
CREATE UNIQUE INDEX sessions_running ON sessions (app, cname, uid) WHERE state IN ('starting', 'recording');
CREATE INDEX sessions_open ON sessions (created) WHERE state IN ('starting', 'recording', 'stopping');
CREATE INDEX sessions_by_app ON sessions (app, created);
CREATE INDEX sessions_by_end ON sessions (ended) WHERE ended IS NOT NULL;

CREATE TABLE resources (
    id                TEXT PRIMARY KEY,
    app               TEXT NOT NULL,
    cname             TEXT NOT NULL,
    uid               TEXT NOT NULL,
    created           INTEGER NOT NULL,
    expired_hours     INTEGER NOT NULL,
    start_parameter   BLOB,
    sid               TEXT REFERENCES sessions (sid) ON DELETE CASCADE,
    start_hash        BLOB
) STRICT, WITHOUT ROWID;

CREATE INDEX resources_unstarted ON resources (created) WHERE sid IS NULL;
CREATE INDEX resources_by_session ON resources (sid) WHERE sid IS NOT NULL;

CREATE TABLE events (
    sid           TEXT NOT NULL REFERENCES sessions (sid) ON DELETE CASCADE,
    sequence      INTEGER NOT NULL,
    notice_id     TEXT NOT NULL UNIQUE,
    event_type    INTEGER NOT NULL,
    service_type  INTEGER NOT NULL,
    details       TEXT NOT NULL,
    sendts        INTEGER NOT NULL,
    PRIMARY KEY (sid, sequence)
) STRICT;

-- One row an event. `due` is set for the oldest pending event of a session and for no other: its followers wait with NULL,
-- delivered and dead ones are done with NULL. So a session has something pending exactly when it has something due.
CREATE TABLE deliveries (
    sid         TEXT NOT NULL,
    sequence    INTEGER NOT NULL,
    app         TEXT NOT NULL,
    due         INTEGER,
    attempts    INTEGER NOT NULL DEFAULT 0,
    delivered   INTEGER,
    dead        INTEGER,
    last_error  TEXT,
    PRIMARY KEY (sid, sequence),
    FOREIGN KEY (sid, sequence) REFERENCES events (sid, sequence) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX deliveries_next ON deliveries (sid) WHERE due IS NOT NULL;
CREATE INDEX deliveries_due ON deliveries (app, due) WHERE due IS NOT NULL;
CREATE INDEX deliveries_dead ON deliveries (app, dead) WHERE dead IS NOT NULL;
