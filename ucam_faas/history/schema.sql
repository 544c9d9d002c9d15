-- A delivery's number is its message's times 4096, and its place among the readers: so a page of
-- deliveries is in the order of publication, and a message's are found without another index.
CREATE TABLE messages (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL, time REAL NOT NULL, topic TEXT NOT NULL,
    key TEXT NOT NULL, attributes TEXT NOT NULL, data BLOB NOT NULL
);
CREATE INDEX messages_by_id ON messages (id);
CREATE INDEX messages_by_time ON messages (time);

CREATE TABLE deliveries (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL, time REAL NOT NULL, topic TEXT NOT NULL,
    subscription TEXT, task TEXT, state TEXT NOT NULL, attempts INTEGER NOT NULL,
    reason TEXT NOT NULL, size INTEGER NOT NULL, letter TEXT, died REAL
);
CREATE INDEX deliveries_by_task ON deliveries (task);
CREATE INDEX deliveries_by_topic ON deliveries (topic);
-- Most messages are done, and are found without these.
CREATE INDEX deliveries_by_state ON deliveries (state) WHERE state <> 'done';
CREATE INDEX deliveries_by_task_state ON deliveries (task, state) WHERE state <> 'done';

CREATE TABLE runs (
    seq INTEGER PRIMARY KEY, began REAL NOT NULL, ended REAL, task TEXT NOT NULL,
    subscription TEXT NOT NULL, message_id TEXT NOT NULL, job_id TEXT NOT NULL,
    attempt INTEGER NOT NULL, execution_id TEXT NOT NULL, outcome TEXT NOT NULL,
    reason TEXT NOT NULL, status TEXT NOT NULL, error_type TEXT NOT NULL, failed INTEGER NOT NULL
);
CREATE INDEX runs_by_message ON runs (message_id) WHERE message_id <> '';
CREATE INDEX runs_by_job ON runs (job_id) WHERE job_id <> '';
CREATE INDEX runs_by_execution ON runs (execution_id) WHERE execution_id <> '';
CREATE INDEX runs_failed ON runs (seq) WHERE failed;
CREATE INDEX runs_open ON runs (seq) WHERE ended IS NULL;

CREATE TABLE lines (
    seq INTEGER PRIMARY KEY, execution_id TEXT NOT NULL, time REAL NOT NULL, task TEXT NOT NULL,
    severity TEXT NOT NULL, message TEXT NOT NULL, fields TEXT NOT NULL, traceback TEXT NOT NULL
);
CREATE INDEX lines_by_execution ON lines (execution_id) WHERE execution_id <> '';

-- The newest events only, for pages that follow them.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, time REAL NOT NULL, kind TEXT NOT NULL, task TEXT NOT NULL,
    message_id TEXT NOT NULL, job_id TEXT NOT NULL, text TEXT NOT NULL
);

-- What happened in spans of a minute, of ten, and of an hour.
CREATE TABLE counters (
    span INTEGER NOT NULL, start INTEGER NOT NULL, task TEXT NOT NULL,
    published INTEGER NOT NULL, done INTEGER NOT NULL, failed INTEGER NOT NULL,
    dead_lettered INTEGER NOT NULL, PRIMARY KEY (span, start, task)
) WITHOUT ROWID;

-- Of messages up to `indexed`: their attributes as `name=value`, and all words in them. Words have
-- no positions: most of the size and time would go into those.
CREATE TABLE attributes (
    pair TEXT NOT NULL, message INTEGER NOT NULL, PRIMARY KEY (pair, message)
) WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5 (text, content = '', detail = none, prefix = '3 4 5');
CREATE TABLE facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO facts VALUES ('indexed', 0), ('dropped', 0);
