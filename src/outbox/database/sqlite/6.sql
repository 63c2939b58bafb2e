-- The outbox of apiece, version 6: what a person took back of a campaign that recurs stays taken back, and campaigns of one name
-- are told apart by their files.

ALTER TABLE message ADD COLUMN taken_back INTEGER; -- 1 if a person took it back, 0 if one wanted it sent after all; none if nobody decided
ALTER TABLE campaign ADD COLUMN home TEXT;         -- the file of its settings, or else its template; none where that is not known
