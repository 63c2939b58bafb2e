-- The outbox of apiece, version 1. Times are milliseconds since 1970-01-01 00:00 UTC.

-- What was prepared. The same content is a campaign again, with the next edition, only where a person says so.
CREATE TABLE campaign (
    number   INTEGER PRIMARY KEY,
    id       TEXT    NOT NULL UNIQUE,
    content  BLOB    NOT NULL,           -- SHA-256 over the digests of all messages of its first edition
    edition  INTEGER NOT NULL,
    source   BLOB    NOT NULL,           -- SHA-256 over template and list, whatever is made of them
    name     TEXT    NOT NULL,           -- as it was called on the command line
    prepared INTEGER NOT NULL,
    total    INTEGER NOT NULL,           -- how many messages
    UNIQUE (content, edition)
) STRICT;

-- One message for each recipient.
CREATE TABLE message (
    campaign INTEGER NOT NULL REFERENCES campaign (number),
    position INTEGER NOT NULL,           -- of the recipient in the list, from 0
    row      INTEGER NOT NULL,           -- as the spreadsheet numbers it
    address  TEXT    NOT NULL,
    digest   BLOB    NOT NULL,           -- SHA-256 of its bytes without Date and signature
    state    TEXT    NOT NULL DEFAULT 'queued' REFERENCES state (name),
    PRIMARY KEY (campaign, position)
) STRICT, WITHOUT ROWID;

-- What can become of a message, and what may follow what.
CREATE TABLE state (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE transition (
    before TEXT NOT NULL REFERENCES state (name),
    after  TEXT NOT NULL REFERENCES state (name),
    PRIMARY KEY (before, after)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER message_keeps_to_the_table BEFORE UPDATE OF state ON message
WHEN NOT EXISTS (SELECT 1 FROM transition WHERE before = old.state AND after = new.state)
BEGIN
    SELECT RAISE (ABORT, 'a message cannot become that');
END;
CREATE TRIGGER message_stays_what_it_is BEFORE UPDATE OF campaign, position, row, digest ON message
BEGIN
    SELECT RAISE (ABORT, 'a message stays what it is');
END;
CREATE TRIGGER message_begins_queued BEFORE INSERT ON message WHEN new.state <> 'queued'
BEGIN
    SELECT RAISE (ABORT, 'a message begins queued');
END;

-- What was tried, and what the server said. An attempt is written down before the server can have the message.
CREATE TABLE attempt (
    number     INTEGER PRIMARY KEY,
    campaign   INTEGER NOT NULL,
    position   INTEGER NOT NULL,
    message_id TEXT    NOT NULL,         -- to look it up by
    account    TEXT,                     -- whose limits it counts for
    server     TEXT,                     -- address and port
    tls        TEXT,
    began      INTEGER NOT NULL,
    ended      INTEGER,
    code       INTEGER,                  -- of the reply (RFC 5321 section 4.2)
    enhanced   TEXT,                     -- such as 5.1.1 (RFC 3463)
    said       TEXT,                     -- the reply word for word, or what happened in place of one
    outcome    TEXT    NOT NULL REFERENCES state (name),
    FOREIGN KEY (campaign, position) REFERENCES message (campaign, position)
) STRICT;
CREATE INDEX attempt_of_message ON attempt (campaign, position);
