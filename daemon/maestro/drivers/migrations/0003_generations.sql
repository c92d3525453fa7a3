-- What was in the unit files, each time that something else was read. The files of all units go into one row: most of a text is
-- the same from one to the next, so that together, compressed, they take less than each by itself would with an index of what is shared.
CREATE TABLE generation (number INTEGER PRIMARY KEY, head BLOB NOT NULL, body BLOB NOT NULL);
