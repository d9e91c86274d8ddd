-- From where it is known: a word for each cluster, PostgreSQL's major version and the version of the app's tables there.
ALTER TABLE sindico.app_releases ADD COLUMN rehearsed_from text[];
ALTER TABLE sindico.app_releases DROP COLUMN rehearsed_at;
