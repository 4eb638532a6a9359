-- The tables of baton.sqlite (core/store). A blank line ends a statement.
--
-- The columns after `attempt` and `events` follow from the events, and are filled in when the run ends.
CREATE TABLE runs (
    id TEXT PRIMARY KEY, started TEXT NOT NULL, state TEXT NOT NULL, owner TEXT NOT NULL,
    -- Names the recording that wrote the events last: only that one may add to them.
    attempt TEXT NOT NULL DEFAULT '', events INTEGER NOT NULL DEFAULT 0,
    finish TEXT, reason TEXT NOT NULL DEFAULT '', answer TEXT NOT NULL DEFAULT '',
    -- Whether a second opinion or values were added after the run, so that others need not be searched for them.
    reviewed INTEGER NOT NULL DEFAULT 0,
    seconds REAL NOT NULL DEFAULT 0, seconds_to_answer REAL,
    small_tokens INTEGER NOT NULL DEFAULT 0, large_tokens INTEGER NOT NULL DEFAULT 0,
    discarded_tokens INTEGER NOT NULL DEFAULT 0, remote_tokens INTEGER NOT NULL DEFAULT 0,
    small_read INTEGER NOT NULL DEFAULT 0, large_read INTEGER NOT NULL DEFAULT 0,
    small_recomputed INTEGER NOT NULL DEFAULT 0, large_recomputed INTEGER NOT NULL DEFAULT 0,
    small_decoded INTEGER NOT NULL DEFAULT 0, large_decoded INTEGER NOT NULL DEFAULT 0,
    drafted INTEGER NOT NULL DEFAULT 0, accepted INTEGER NOT NULL DEFAULT 0,
    handoffs INTEGER NOT NULL DEFAULT 0, steps INTEGER NOT NULL DEFAULT 0, large_steps INTEGER NOT NULL DEFAULT 0,
    money REAL NOT NULL DEFAULT 0, currency TEXT NOT NULL DEFAULT '',
    takeovers TEXT NOT NULL DEFAULT '[]', ribbon TEXT NOT NULL DEFAULT '[]');

CREATE INDEX runs_by_state ON runs (state);

CREATE TABLE event_chunks (
    run TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, sequence INTEGER NOT NULL,
    events BLOB NOT NULL, UNIQUE (run, sequence));

CREATE TABLE owners (name TEXT PRIMARY KEY, renewed TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE conversations (
    id TEXT PRIMARY KEY, title TEXT NOT NULL DEFAULT '', leaf TEXT,
    created TEXT NOT NULL, changed TEXT NOT NULL, pinned TEXT, deleted TEXT);

CREATE INDEX conversations_by_change ON conversations (changed);

-- `number` ties an exchange to its text index; a bare rowid could change in a VACUUM.
CREATE TABLE exchanges (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
    conversation TEXT NOT NULL REFERENCES conversations ON DELETE CASCADE,
    parent TEXT REFERENCES exchanges (id) ON DELETE CASCADE,
    problem TEXT NOT NULL, settings TEXT NOT NULL, created TEXT NOT NULL);

CREATE INDEX exchanges_by_conversation ON exchanges (conversation);

CREATE INDEX exchanges_by_parent ON exchanges (parent);

CREATE TRIGGER exchange_deleted AFTER DELETE ON exchanges BEGIN
    DELETE FROM runs WHERE id = old.id; END;

CREATE VIRTUAL TABLE exchange_text USING fts5 (
    problem, answer, reasoning, tokenize = 'unicode61 remove_diacritics 2');

CREATE TRIGGER exchange_text_added AFTER INSERT ON exchanges BEGIN
    INSERT INTO exchange_text (rowid, problem, answer) VALUES (new.number, new.problem, ''); END;

CREATE TRIGGER exchange_text_deleted AFTER DELETE ON exchanges BEGIN
    DELETE FROM exchange_text WHERE rowid = old.number; END;

-- Apart from `conversations`, in which one that has no exchange yet is not.
CREATE TABLE unsent (
    number INTEGER PRIMARY KEY, conversation TEXT NOT NULL UNIQUE, text TEXT NOT NULL, owner TEXT NOT NULL);

CREATE TRIGGER unsent_deleted AFTER DELETE ON conversations BEGIN
    DELETE FROM unsent WHERE conversation = old.id; END;

CREATE TABLE batches (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, settings TEXT NOT NULL, created TEXT NOT NULL, deleted TEXT);

CREATE TABLE batch_problems (
    batch TEXT NOT NULL REFERENCES batches ON DELETE CASCADE, position INTEGER NOT NULL,
    problem TEXT NOT NULL, PRIMARY KEY (batch, position)) WITHOUT ROWID;

CREATE TABLE batch_arms (
    batch TEXT NOT NULL REFERENCES batches ON DELETE CASCADE, position INTEGER NOT NULL,
    name TEXT NOT NULL, settings TEXT NOT NULL, PRIMARY KEY (batch, position), UNIQUE (batch, name))
    WITHOUT ROWID;

CREATE TABLE jobs (
    id INTEGER PRIMARY KEY, batch TEXT NOT NULL REFERENCES batches ON DELETE CASCADE,
    arm TEXT NOT NULL, problem INTEGER NOT NULL, seed INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting', owner TEXT NOT NULL DEFAULT '', run TEXT NOT NULL UNIQUE,
    attempt INTEGER NOT NULL DEFAULT 0, answer TEXT NOT NULL DEFAULT '', outcome TEXT, how TEXT,
    verdict_reason TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT '',
    notices TEXT NOT NULL DEFAULT '[]', conditions TEXT, started TEXT, ended TEXT,
    UNIQUE (batch, arm, problem, seed));

CREATE INDEX jobs_in_order ON jobs (batch, state, problem, seed, id);

CREATE INDEX jobs_by_owner ON jobs (owner) WHERE owner <> '';

CREATE TRIGGER job_deleted AFTER DELETE ON jobs BEGIN DELETE FROM runs WHERE id = old.run; END;

CREATE TABLE file_hashes (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, modified INTEGER NOT NULL, changed INTEGER NOT NULL,
    sha256 TEXT NOT NULL) WITHOUT ROWID;
