-- The outbox of apiece, version 7: all of it can be moved into another one, and nothing is changed or sent in this one from then on.

CREATE TABLE moved (
    token BLOB PRIMARY KEY,              -- 16 octets that stand for the move in both outboxes
    way   TEXT    NOT NULL,              -- to: it goes to that place, or went; from: it came from there; refused: it must not come any more
    place TEXT    NOT NULL,              -- a file or an address, without a password
    who   TEXT    NOT NULL,              -- as the system names the user
    at    INTEGER NOT NULL,
    over  INTEGER                        -- when all of it was there
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX moved_once ON moved (way) WHERE way = 'to';

-- The program asks before each change, and says where it went. These hold where it does not, as an earlier version that has the file
-- open would not.
CREATE TRIGGER moved_makes_no_campaign BEFORE INSERT ON campaign WHEN EXISTS (SELECT 1 FROM moved WHERE way = 'to')
BEGIN
    SELECT RAISE (ABORT, 'all of this was moved into another outbox');
END;
CREATE TRIGGER moved_changes_no_campaign BEFORE UPDATE ON campaign WHEN EXISTS (SELECT 1 FROM moved WHERE way = 'to')
BEGIN
    SELECT RAISE (ABORT, 'all of this was moved into another outbox');
END;
CREATE TRIGGER moved_changes_no_message BEFORE UPDATE ON message WHEN EXISTS (SELECT 1 FROM moved WHERE way = 'to')
BEGIN
    SELECT RAISE (ABORT, 'all of this was moved into another outbox');
END;
CREATE TRIGGER moved_begins_no_attempt BEFORE INSERT ON attempt WHEN EXISTS (SELECT 1 FROM moved WHERE way = 'to')
BEGIN
    SELECT RAISE (ABORT, 'all of this was moved into another outbox');
END;
CREATE TRIGGER moved_changes_no_attempt BEFORE UPDATE ON attempt WHEN EXISTS (SELECT 1 FROM moved WHERE way = 'to')
BEGIN
    SELECT RAISE (ABORT, 'all of this was moved into another outbox');
END;
CREATE TRIGGER moved_takes_no_slot BEFORE INSERT ON slot WHEN EXISTS (SELECT 1 FROM moved WHERE way = 'to')
BEGIN
    SELECT RAISE (ABORT, 'all of this was moved into another outbox');
END;
CREATE TRIGGER moved_logs_nothing BEFORE INSERT ON log WHEN EXISTS (SELECT 1 FROM moved WHERE way = 'to')
BEGIN
    SELECT RAISE (ABORT, 'all of this was moved into another outbox');
END;
