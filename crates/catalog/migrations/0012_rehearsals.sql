-- From where it is known: a word for each cluster, with what was tried there and the version of the app's tables.
ALTER TABLE sindico.app_releases ADD COLUMN rehearsed_from text[];
ALTER TABLE sindico.app_releases DROP COLUMN rehearsed_at;

-- Whether anybody has asked for it to be applied; one that is only tried is nobody's newest.
ALTER TABLE sindico.app_releases ADD COLUMN asked boolean NOT NULL DEFAULT true;
