//! Enums, domains, composite and range types, and what extensions bring.

use crate::worlds::Worlds;

#[tokio::test]
async fn types_are_made_changed_and_dropped() {
    let worlds = Worlds::build(
        "CREATE TYPE public.mood AS ENUM ('sad', 'ok');
         ALTER TYPE mood ADD VALUE IF NOT EXISTS 'ok';
         ALTER TYPE public.mood ADD VALUE 'happy';
         ALTER TYPE mood ADD VALUE 'awful' BEFORE 'sad';
         ALTER TYPE mood RENAME VALUE 'ok' TO 'fine';
         CREATE DOMAIN email AS text CONSTRAINT has_at CHECK (VALUE LIKE '%@%');
         ALTER DOMAIN email ADD CONSTRAINT short CHECK (length(VALUE) < 20);
         ALTER DOMAIN public.email RENAME CONSTRAINT short TO brief;
         CREATE TYPE money_of AS (amount numeric, currency text);
         ALTER TYPE money_of ADD ATTRIBUTE note text; ALTER TYPE money_of DROP ATTRIBUTE note, ALTER ATTRIBUTE amount TYPE numeric(12, 2);
         ALTER TYPE money_of RENAME ATTRIBUTE currency TO code;
         CREATE TYPE span AS RANGE (subtype = float8, subtype_diff = float8mi);
         CREATE TYPE old AS ENUM ('x'); DROP TYPE IF EXISTS old, older; DROP TYPE IF EXISTS nothing;
         CREATE TYPE first_name AS ENUM ('a'); ALTER TYPE first_name RENAME TO \"Second Name\";
         COMMENT ON TYPE mood IS 'how'; COMMENT ON DOMAIN email IS 'where'; COMMENT ON CONSTRAINT brief ON DOMAIN email IS 'x';
         -- sindico: global
         CREATE TYPE kind AS ENUM ('cat', 'dog');
         -- sindico: global
         CREATE TABLE kinds (id int PRIMARY KEY, kind kind NOT NULL);
         INSERT INTO kinds VALUES (1, 'dog');
         CREATE TABLE public.people (id int PRIMARY KEY, mood public.mood DEFAULT 'fine'::public.mood, moods mood[],
             email email, price money_of, life span, second \"Second Name\" DEFAULT 'a', kind kind);",
        "INSERT INTO people (id, moods, email, price, life, kind)
             VALUES (1, ARRAY['sad', 'happy']::mood[], 'a@b', ROW(1.5, 'EUR'), '[1,2)', 'cat');",
    )
    .await;
    assert_eq!(
        worlds.answer("SELECT id, mood, moods, email, price, life, second, kind FROM people").await,
        "1|fine|{sad,happy}|a@b|(1.50,EUR)|[1,2)|a|cat"
    );
    assert_eq!(worlds.answer("SELECT (price).code FROM people WHERE mood > 'sad'").await, "EUR");
    assert_eq!(
        worlds.answer("UPDATE people SET email = 'nothing'").await,
        "23514 value for domain email violates check constraint \"has_at\""
    );
    assert_eq!(worlds.answer("SELECT kind FROM kinds").await, "dog");
    assert_eq!(worlds.answer("SELECT enum_range(NULL::mood)").await, "{awful,sad,fine,happy}");
    worlds.clear().await;
}

#[tokio::test]
async fn extensions_are_in_a_schema_of_their_own() {
    let worlds = Worlds::build(
        "CREATE EXTENSION IF NOT EXISTS plpgsql WITH SCHEMA pg_catalog;
         CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA public;
         CREATE EXTENSION \"uuid-ossp\"; CREATE EXTENSION pgcrypto; CREATE EXTENSION IF NOT EXISTS pg_trgm CASCADE;
         COMMENT ON EXTENSION citext IS 'x';
         CREATE TABLE users (id uuid DEFAULT public.uuid_generate_v4() PRIMARY KEY, name public.citext UNIQUE,
             code text DEFAULT encode(gen_random_bytes(4), 'hex'));
         CREATE INDEX ON users USING gin (code public.gin_trgm_ops);",
        "INSERT INTO users (name) VALUES ('Ana');",
    )
    .await;
    assert_eq!(worlds.plan.extensions(), ["citext", "uuid-ossp", "pgcrypto", "pg_trgm"]);
    assert_eq!(worlds.answer("SELECT count(*) FROM users WHERE name = 'ANA'").await, "1");
    assert!(worlds.answer("INSERT INTO users (name) VALUES ('ana')").await.starts_with("23505 "));
    worlds.clear().await;
}
