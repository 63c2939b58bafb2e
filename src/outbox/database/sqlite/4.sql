-- The outbox of apiece, version 4: reports that name nobody, and campaigns of another machine that somebody is to look at.

ALTER TABLE campaign ADD COLUMN pseudonyms BLOB;   -- the key of the names that reports give to people: 32 octets
ALTER TABLE campaign ADD COLUMN origin TEXT;       -- on which machine it was prepared, if it was on another one; it is never sent from here
UPDATE campaign SET pseudonyms = randomblob(32);
