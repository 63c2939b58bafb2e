-- The outbox of apiece, version 5: campaigns that recur, and lists that are compared with those of the last run.

ALTER TABLE campaign ADD COLUMN people BLOB;       -- SHA-256 over the headings and rows of its list
ALTER TABLE message  ADD COLUMN occurrence TEXT;   -- what it is of, if its campaign recurs; none once the campaign is purged
ALTER TABLE message  ADD COLUMN once BLOB;         -- a hash of the campaign's name, the recipient and the occurrence, 16 octets; salted once purged
CREATE INDEX message_once ON message (once) WHERE once IS NOT NULL;
