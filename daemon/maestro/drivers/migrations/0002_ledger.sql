-- What has been used of budgets, by holder: a unit, later also a slice. A file of its own would be free of this one's writer, as
-- that of money will be; but what a unit has used and the state that follows from it must be committed together, or not at all:
-- a restart that was begun and not counted, or counted and not begun, would be counted wrong after the manager's death.
CREATE TABLE ledger (holder TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
