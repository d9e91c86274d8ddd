-- Suites make what they need; an app has a table at least.
CREATE TABLE nothing_of_ours (id integer PRIMARY KEY);
