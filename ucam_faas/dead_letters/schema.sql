-- The book of dead letters. Times are in epoch seconds.
CREATE TABLE letters (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    task TEXT NOT NULL,
    subscription TEXT NOT NULL,
    keeper TEXT NOT NULL,
    message_id TEXT NOT NULL,
    original_id TEXT NOT NULL,
    job TEXT NOT NULL,
    reason TEXT NOT NULL,
    error TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    first_attempt REAL,
    last_attempt REAL,
    time REAL NOT NULL,
    sent REAL NOT NULL,
    attempts INTEGER NOT NULL,
    attributes TEXT NOT NULL, -- JSON
    key TEXT NOT NULL,
    size INTEGER NOT NULL,
    replays INTEGER NOT NULL,
    hash TEXT NOT NULL,
    state TEXT NOT NULL,
    note TEXT NOT NULL DEFAULT '',
    by TEXT NOT NULL DEFAULT '',
    changed REAL,
    edited INTEGER NOT NULL DEFAULT 0,
    seen INTEGER NOT NULL DEFAULT 0 -- the number of the last mirror that found it
);
CREATE INDEX letters_by_time ON letters (state, time DESC, number DESC);
CREATE INDEX letters_by_cause ON letters (state, fingerprint, task, time);
CREATE INDEX letters_by_message ON letters (message_id);
CREATE INDEX letters_by_original ON letters (original_id);
CREATE INDEX letters_by_job ON letters (job) WHERE job <> '';

-- Apart from the letters, so that lists don't read them.
CREATE TABLE bodies (
    letter INTEGER PRIMARY KEY REFERENCES letters (number) ON DELETE CASCADE,
    data BLOB NOT NULL
);
CREATE TABLE edits (
    letter INTEGER PRIMARY KEY REFERENCES letters (number) ON DELETE CASCADE,
    data BLOB, -- NULL: as it died
    attributes TEXT -- JSON; NULL: as it died
);

CREATE TABLE plans (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    created REAL NOT NULL,
    by TEXT NOT NULL,
    text TEXT NOT NULL, -- how its letters were chosen
    active INTEGER NOT NULL DEFAULT 0, -- a run began, and hasn't ended unless it was killed
    cancelled INTEGER NOT NULL DEFAULT 0,
    problem TEXT NOT NULL DEFAULT '' -- why the last run stopped
);
CREATE TABLE rows (
    plan INTEGER NOT NULL REFERENCES plans (number) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    letter TEXT NOT NULL,
    task TEXT NOT NULL,
    lane TEXT NOT NULL, -- rows of one lane go one after the other; '': in any order
    "to" TEXT NOT NULL,
    place TEXT NOT NULL,
    subscription TEXT NOT NULL,
    wrapped INTEGER NOT NULL,
    hash TEXT NOT NULL, -- of the content that is sent
    edited INTEGER NOT NULL,
    replay_id TEXT NOT NULL,
    state TEXT NOT NULL,
    message_id TEXT NOT NULL DEFAULT '', -- of the replay
    reason TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (plan, position)
) WITHOUT ROWID;
CREATE INDEX rows_by_state ON rows (plan, state, position);
CREATE INDEX rows_by_letter ON rows (letter);
CREATE TABLE exclusions (
    plan INTEGER NOT NULL REFERENCES plans (number) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    letter TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (plan, position)
) WITHOUT ROWID;

-- The audit: who, when, what.
CREATE TABLE journal (
    number INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    by TEXT NOT NULL,
    what TEXT NOT NULL,
    letter TEXT NOT NULL DEFAULT '',
    plan TEXT NOT NULL DEFAULT '',
    detail TEXT NOT NULL DEFAULT ''
);
CREATE INDEX journal_by_letter ON journal (letter, number);
CREATE INDEX journal_by_plan ON journal (plan, number);

-- One row: until when this book's processes may hold letters.
CREATE TABLE holds (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    until REAL NOT NULL
);

CREATE TABLE mirrors (
    number INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    by TEXT NOT NULL,
    pulled INTEGER NOT NULL DEFAULT 0,
    new INTEGER NOT NULL DEFAULT 0,
    gone INTEGER NOT NULL DEFAULT 0,
    problems TEXT NOT NULL DEFAULT '[]', -- JSON
    done INTEGER NOT NULL DEFAULT 0
);
