//! What a history of migrations does to things that are there: columns and values added later, statements with no effect.

use crate::worlds::Worlds;

#[tokio::test]
async fn columns_with_numbers_are_added() {
    let worlds = Worlds::build(
        "CREATE TABLE t (a int); CREATE SEQUENCE sq START 7;
         ALTER TABLE t ADD COLUMN k serial;
         ALTER TABLE t ADD COLUMN id bigserial PRIMARY KEY;
         ALTER TABLE t ADD COLUMN n bigint NOT NULL DEFAULT nextval('sq') UNIQUE CHECK (n > 0);
         ALTER TABLE t ADD COLUMN s smallserial, ADD COLUMN \"At\" timestamptz NOT NULL DEFAULT clock_timestamp();
         CREATE TABLE parted (a int) PARTITION BY LIST (a); CREATE TABLE part PARTITION OF parted DEFAULT;
         ALTER TABLE parted ADD COLUMN k bigserial NOT NULL, ADD COLUMN code text DEFAULT 'c' || nextval('sq');",
        "INSERT INTO t (a) VALUES (1), (2); INSERT INTO parted VALUES (1);",
    )
    .await;
    assert_eq!(
        worlds.answer("SELECT a, k, id, n, s, \"At\" <= now() FROM t ORDER BY a").await,
        "1|1|1|7|1|t\n2|2|2|8|2|t"
    );
    assert_eq!(worlds.answer("SELECT a, k, code FROM part").await, "1|1|c9");
    assert_eq!(
        worlds.answer("INSERT INTO t (a, k) VALUES (3, NULL)").await,
        "23502 null value in column \"k\" of relation \"t\" violates not-null constraint"
    );
    assert!(worlds.answer("INSERT INTO t (a, id) VALUES (3, 1)").await.starts_with("23505 "));
    assert_eq!(worlds.answer("INSERT INTO t (a) VALUES (3) RETURNING k > 2").await, "t");
    worlds.clear().await;
}

#[tokio::test]
async fn values_of_enums_are_used_as_soon_as_they_are_there() {
    let worlds = Worlds::build(
        "CREATE TYPE public.st AS ENUM ('a', 'b');
         CREATE TABLE t (id int PRIMARY KEY, s st NOT NULL DEFAULT 'a');
         ALTER TYPE st RENAME VALUE 'b' TO 'beta';
         ALTER TYPE st ADD VALUE 'c';
         CREATE INDEX ON t (id) WHERE s = 'c';
         ALTER TYPE st ADD VALUE IF NOT EXISTS 'before b' BEFORE 'beta';
         ALTER TYPE st RENAME TO state;
         ALTER TYPE public.state ADD VALUE 'after a' AFTER 'a';
         ALTER TABLE t ALTER s SET DEFAULT 'after a', ADD CHECK (s <> 'before b');
         CREATE VIEW v AS SELECT id FROM t WHERE s IN ('c', 'after a');
         CREATE FUNCTION f() RETURNS state LANGUAGE sql AS $$ SELECT 'c'::state $$;
         DO $$ BEGIN CREATE TYPE kind AS ENUM ('x'); EXCEPTION WHEN duplicate_object THEN NULL; END $$;
         ALTER TYPE kind ADD VALUE 'y'; CREATE TABLE k (kind kind DEFAULT 'y', CHECK (kind > 'x'));
         -- what had a name at first cannot have it twice
         CREATE TYPE swapped AS ENUM ('p', 'q'); ALTER TYPE swapped RENAME VALUE 'p' TO 'r';
         ALTER TYPE swapped ADD VALUE 'p' AFTER 'q'; ALTER TYPE swapped ADD VALUE 'z' BEFORE 'p';
         CREATE TYPE gone AS ENUM ('1'); ALTER TYPE gone ADD VALUE '2';
         CREATE TABLE g (a gone DEFAULT '2'); DROP TABLE g; DROP TYPE gone; CREATE TYPE gone AS ENUM ('3');
         -- sindico: global
         CREATE TYPE size AS ENUM ('s'); ALTER TYPE size ADD VALUE 'l';
         -- sindico: global
         CREATE TABLE sizes (size size DEFAULT 'l' CHECK (size > 's')); INSERT INTO sizes VALUES ('l');",
        "INSERT INTO t (id) VALUES (1); INSERT INTO t VALUES (2, 'c'); INSERT INTO k DEFAULT VALUES;",
    )
    .await;
    assert_eq!(worlds.answer("SELECT enum_range(NULL::state)").await, "{a,\"after a\",\"before b\",beta,c}");
    assert_eq!(worlds.answer("SELECT id, s FROM t WHERE id IN (SELECT id FROM v) ORDER BY id").await, "1|after a\n2|c");
    assert_eq!(worlds.answer("SELECT f()").await, "c");
    assert_eq!(worlds.answer("SELECT kind FROM k").await, "y");
    assert_eq!(worlds.answer("SELECT enum_range(NULL::swapped)").await, "{r,q,z,p}");
    assert_eq!(worlds.answer("SELECT enum_range(NULL::gone)").await, "{3}");
    assert_eq!(worlds.answer("SELECT size FROM sizes").await, "l");
    let noted = worlds.plan.migrations().iter().filter(|step| step.note.is_some() && step.own.is_empty()).count();
    assert_eq!(noted, 6);
    worlds.clear().await;
}

#[tokio::test]
async fn what_changes_nothing_is_left_out() {
    let worlds = Worlds::build(
        "SELECT 1; SELECT version(); VALUES (1); CREATE TABLE t (id int PRIMARY KEY); SELECT count(*) FROM t;
         LOCK TABLE t IN ACCESS EXCLUSIVE MODE; REINDEX TABLE t; CLUSTER t USING t_pkey; CHECKPOINT; DISCARD ALL;
         NOTIFY x, 'y'; LISTEN x; UNLISTEN *; ALTER TABLE t SET WITHOUT OIDS;
         ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t NO FORCE ROW LEVEL SECURITY, ADD COLUMN a int;
         CREATE ROLE reader; ALTER ROLE reader NOLOGIN; GRANT reader TO other; GRANT SELECT ON t TO reader;
         DROP ROLE IF EXISTS reader;",
        "SELECT 1; INSERT INTO t VALUES (1, 2);",
    )
    .await;
    assert_eq!(worlds.answer("SELECT id, a FROM t").await, "1|2");
    let notes = worlds.plan.migrations().iter().filter(|step| step.note.is_some()).count();
    assert_eq!(notes, 19);
    worlds.clear().await;
}

#[tokio::test]
async fn rows_follow_what_is_renamed() {
    let worlds = Worlds::build(
        "CREATE TABLE user_ (id serial PRIMARY KEY, name text, \"Old Nick\" text);
         CREATE TABLE note (user_id int, said text);
         INSERT INTO user_ (name) VALUES ('user_');
         INSERT INTO public.user_ (name, \"Old Nick\") SELECT 'name', 'x' WHERE NOT EXISTS (SELECT 1 FROM user_ WHERE user_.name = 'none');
         INSERT INTO note (user_id, said) SELECT user_.id, 'of ' || u.name FROM user_ JOIN User_ AS u ON u.id = user_.id;
         UPDATE user_ SET name = upper(user_.name) WHERE name = 'name';
         ALTER TABLE user_ RENAME TO person;
         INSERT INTO person (name) SELECT name AS name FROM person AS p WHERE p.name = 'NAME';
         ALTER TABLE person RENAME COLUMN \"Old Nick\" TO nick; ALTER TABLE person RENAME TO human;
         CREATE TABLE user_ (name int); INSERT INTO user_ (name) VALUES (5);
         CREATE TABLE other (name text); INSERT INTO other (name) SELECT name AS name FROM other AS o WHERE o.name = 'name';
         INSERT INTO other AS other (name) VALUES ('name'); UPDATE other SET name = other.name || '!' WHERE name = 'name';
         ALTER TABLE other RENAME COLUMN name TO \"fullName\";",
        "",
    )
    .await;
    assert_eq!(worlds.answer("SELECT name, nick FROM human ORDER BY id").await, "user_|NULL\nNAME|x\nNAME|NULL");
    assert_eq!(worlds.answer("SELECT user_id, said FROM note ORDER BY 1").await, "1|of user_\n2|of name");
    assert_eq!(worlds.answer("SELECT name FROM user_").await, "5");
    assert_eq!(worlds.answer("SELECT \"fullName\" FROM other").await, "name!");
    worlds.clear().await;
}

#[tokio::test]
async fn rows_are_not_copied_from_where_there_are_none() {
    let worlds = Worlds::build(
        "CREATE TABLE users (id serial PRIMARY KEY, street text); CREATE TABLE addresses (user_id int NOT NULL, street text);
         INSERT INTO addresses (user_id, street) SELECT id, street FROM users;
         INSERT INTO addresses SELECT u.id, lower(u.street) FROM addresses a JOIN users u ON u.id = a.user_id;
         ALTER TABLE users DROP COLUMN street;
         INSERT INTO addresses (user_id) SELECT count(*) FROM users;
         -- sindico: global
         CREATE TABLE kinds (id int PRIMARY KEY); INSERT INTO kinds VALUES (7);
         INSERT INTO addresses (user_id) SELECT id FROM kinds;",
        "",
    )
    .await;
    assert_eq!(worlds.answer("SELECT user_id FROM addresses ORDER BY 1").await, "0\n7");
    worlds.clear().await;
}
