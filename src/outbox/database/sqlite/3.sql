-- The outbox of apiece, version 3: what a server puts off is tried again when it is due.

ALTER TABLE message ADD COLUMN tries INTEGER NOT NULL DEFAULT 0; -- how often the server put it off
ALTER TABLE message ADD COLUMN since INTEGER;                    -- when it did for the first time
ALTER TABLE message ADD COLUMN due   INTEGER;                    -- when it is tried again, if its state is deferred
