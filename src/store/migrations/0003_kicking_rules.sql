-- Kicking rules of the embedded channel server. Numbers are never given twice.
CREATE TABLE kicking_rules (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    app      TEXT NOT NULL,
    cname    TEXT,
    uid      TEXT,
    ip       TEXT,
    join_channel   INTEGER NOT NULL,
    publish_audio  INTEGER NOT NULL,
    publish_video  INTEGER NOT NULL,
    created  INTEGER NOT NULL,
    updated  INTEGER NOT NULL,
    until    INTEGER NOT NULL
) STRICT;
