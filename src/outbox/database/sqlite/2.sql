-- The outbox of apiece, version 2: what was prepared is kept, so that each message can be made again from here alone.

ALTER TABLE campaign ADD COLUMN digest   BLOB;     -- SHA-256 over all that was kept of it when it was prepared
ALTER TABLE campaign ADD COLUMN template BLOB;     -- SHA-256 over the texts of the template alone
ALTER TABLE campaign ADD COLUMN made_by  TEXT;     -- the version of apiece
ALTER TABLE campaign ADD COLUMN settings TEXT;     -- as a campaign.toml
ALTER TABLE campaign ADD COLUMN list     TEXT;     -- what the list is besides its rows: JSON
ALTER TABLE campaign ADD COLUMN largest  INTEGER;  -- octets of its largest message
ALTER TABLE campaign ADD COLUMN salt     BLOB;     -- of the hashes that stand for addresses once it is purged
ALTER TABLE campaign ADD COLUMN purged   INTEGER;  -- when people's data was removed

-- Who is on the list. Everything about people stands here, in the files, and in what servers said.
CREATE TABLE recipient (
    campaign INTEGER NOT NULL REFERENCES campaign (number),
    position INTEGER NOT NULL,           -- in the list, from 0
    row      INTEGER NOT NULL,           -- as the spreadsheet numbers it; the first of several
    address  TEXT,                       -- as it travels; none once the campaign is purged
    fields   TEXT,                       -- JSON: of each row its number and an array of its cells
    person   BLOB,                       -- once it is purged: SHA-256 over the salt and the address in lower case
    PRIMARY KEY (campaign, position)
) STRICT, WITHOUT ROWID;
INSERT INTO recipient (campaign, position, row, address) SELECT campaign, position, row, address FROM message;
CREATE TRIGGER recipient_stays BEFORE UPDATE ON recipient WHEN new.address IS NOT NULL OR new.fields IS NOT NULL
BEGIN
    SELECT RAISE (ABORT, 'a recipient stays, or is purged');
END;

DROP TRIGGER message_stays_what_it_is;
ALTER TABLE message DROP COLUMN row;
ALTER TABLE message DROP COLUMN address;
ALTER TABLE message ADD COLUMN says INTEGER;       -- a hash of what it says and to whom, whoever else is on the list; salted once purged
ALTER TABLE message ADD COLUMN again INTEGER NOT NULL DEFAULT 0; -- whether somebody wants it sent although the same was sent before
CREATE TRIGGER message_stays_what_it_is BEFORE UPDATE OF campaign, position, digest ON message
BEGIN
    SELECT RAISE (ABORT, 'a message stays what it is');
END;

-- The texts of the template and the files that go with messages, each content once.
CREATE TABLE content (
    digest BLOB PRIMARY KEY,             -- SHA-256
    bytes  BLOB NOT NULL
) STRICT;
CREATE TABLE file (
    campaign INTEGER NOT NULL REFERENCES campaign (number),
    path     TEXT    NOT NULL,           -- from the template's directory on
    digest   BLOB    NOT NULL REFERENCES content (digest),
    PRIMARY KEY (campaign, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX file_of_content ON file (digest);

-- The right to begin a transaction, until the attempt that is made of it is written down: several programs share the
-- limits of an account.
CREATE TABLE slot (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    account  TEXT    NOT NULL,
    campaign INTEGER NOT NULL,
    taken    INTEGER NOT NULL,
    over     INTEGER                     -- when it was found that its run had ended
) STRICT;
ALTER TABLE attempt ADD COLUMN slot INTEGER;

-- What people did. Each entry is hashed with the one before.
CREATE TABLE log (
    number   INTEGER PRIMARY KEY,        -- from 1, without gaps
    at       INTEGER NOT NULL,
    campaign TEXT    NOT NULL,           -- its id
    who      TEXT    NOT NULL,           -- as the system names the user
    what     TEXT    NOT NULL,
    details  TEXT    NOT NULL,           -- JSON
    hash     BLOB    NOT NULL            -- SHA-256; docs/formats.md says over what
) STRICT;
CREATE TRIGGER log_is_not_changed BEFORE UPDATE ON log
BEGIN
    SELECT RAISE (ABORT, 'the log is only added to');
END;
CREATE TRIGGER log_is_not_cut BEFORE DELETE ON log
BEGIN
    SELECT RAISE (ABORT, 'the log is only added to');
END;

-- For people who look: a line for each message, with what was tried last.
CREATE VIEW outcome AS
SELECT campaign.id AS campaign, row, address, state,
       datetime(coalesce(ended, began) / 1000, 'unixepoch') AS time, server, code, enhanced, said, message_id
FROM message JOIN recipient USING (campaign, position) JOIN campaign ON campaign.number = message.campaign
LEFT JOIN attempt ON attempt.number = (SELECT max(last.number) FROM attempt AS last
    WHERE last.campaign = message.campaign AND last.position = message.position)
ORDER BY message.campaign, message.position;
