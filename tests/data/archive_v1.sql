-- The file as version 1 made it, with a call in it. Never changed: it is what has to be migrated.
PRAGMA auto_vacuum=INCREMENTAL;
PRAGMA journal_mode=WAL;
CREATE TABLE calls (
    call_sid TEXT NOT NULL, started_at REAL NOT NULL, owner TEXT NOT NULL,
    ended_at REAL,
    changed_at REAL NOT NULL,
    facts TEXT,
    PRIMARY KEY (call_sid, started_at)) WITHOUT ROWID;
CREATE INDEX calls_by_start ON calls (started_at);
CREATE TABLE turns (
    call_sid TEXT NOT NULL, started_at REAL NOT NULL, n INTEGER NOT NULL,
    total_ms INTEGER,
    facts TEXT NOT NULL,
    PRIMARY KEY (call_sid, started_at, n)) WITHOUT ROWID;
CREATE TABLE words (
    call_sid TEXT NOT NULL, started_at REAL NOT NULL, kind TEXT NOT NULL, n INTEGER NOT NULL,
    words TEXT NOT NULL,
    PRIMARY KEY (call_sid, started_at, kind, n)) WITHOUT ROWID;
INSERT INTO calls VALUES ('CA1', 4000000000.0, '1-00000000', 4000000060.0, 4000000060.0,
    '{"call_sid":"CA1","stream_sid":"MZ1","started_at":4000000000.0,"duration_ms":60000,'
    || '"phase":"","greeting_ms":2,"failures":[],"ended":true,"reason":"the caller hung up",'
    || '"answered_by":"","recorded":false}');
INSERT INTO turns VALUES ('CA1', 4000000000.0, 1, 610,
    '{"n":1,"at_ms":3000,"over":true,"complete":true,"latency_ms":{"total":610},"moments_ms":{}}');
INSERT INTO words VALUES ('CA1', 4000000000.0, 'call', 0,
    '{"caller":"+15550100001","called":"","partial":"","greeting":"Hello.","voicemail":"",'
    || '"late_tools":[],"reason":"the caller hung up"}');
INSERT INTO words VALUES ('CA1', 4000000000.0, 'turn', 1,
    '{"caller":"How late is it?","reply":"Noon.","heard":"Noon."}');
PRAGMA user_version=1;
