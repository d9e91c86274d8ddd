//! What `pg_dump` writes of a database with one customer in it.

use crate::worlds::Worlds;

const DUMP: &str = r"--
-- PostgreSQL database dump
--

\restrict x0DgM5

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA public;
COMMENT ON EXTENSION citext IS 'data type for case-insensitive character strings';

CREATE TYPE public.state AS ENUM (
    'open',
    'done'
);
ALTER TYPE public.state OWNER TO app;

CREATE FUNCTION public.names() RETURNS TABLE(id integer, name public.citext, lead bigint)
    LANGUAGE sql
    AS $$ SELECT * FROM public.users ORDER BY 1 $$;

CREATE FUNCTION public.bump() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  NEW.title := NEW.title || '!';
  INSERT INTO public.users AS u (id, name) VALUES (1, NEW.title) ON CONFLICT (name) DO UPDATE SET lead = NEW.id;
  RETURN NEW;
END
$$;
ALTER FUNCTION public.bump() OWNER TO app;

SET default_tablespace = '';
SET default_table_access_method = heap;

CREATE TABLE public.tasks (
    id bigint NOT NULL,
    user_id integer,
    parent_id bigint,
    title text,
    state public.state DEFAULT 'open'::public.state NOT NULL,
    data bytea
);
ALTER TABLE public.tasks OWNER TO app;

CREATE TABLE public.users (
    id integer NOT NULL,
    name public.citext NOT NULL,
    lead bigint
);
ALTER TABLE public.users OWNER TO app;

CREATE VIEW public.open_tasks AS
 SELECT t.id,
    u.name
   FROM (public.tasks t
     JOIN public.users u ON ((u.id = t.user_id)))
  WHERE (t.state = 'open'::public.state);

COPY public.tasks (id, user_id, parent_id, title, state, data) FROM stdin;
1	7	2	It's a \\ back\tslash	open	\\x00ff
2	8	\N	line\nbreak	done	\N
\.

COPY public.users (id, name, lead) FROM stdin;
7	Ana	2
8	Bia	\N
\.

ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);
CREATE UNIQUE INDEX users_name ON public.users USING btree (name);
CREATE TRIGGER bump BEFORE UPDATE ON public.tasks FOR EACH ROW EXECUTE FUNCTION public.bump();
ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT tasks_parent FOREIGN KEY (parent_id) REFERENCES public.tasks(id);
ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT tasks_user FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_lead FOREIGN KEY (lead) REFERENCES public.tasks(id);

REVOKE USAGE ON SCHEMA public FROM PUBLIC;
GRANT ALL ON TABLE public.users TO reporting;
ALTER DEFAULT PRIVILEGES FOR ROLE app IN SCHEMA public GRANT SELECT ON TABLES TO reporting;

\unrestrict x0DgM5
";

#[tokio::test]
async fn a_whole_dump_is_an_app() {
    let worlds = Worlds::build(DUMP, "").await;
    assert_eq!(
        worlds.answer("SELECT id, user_id, parent_id, title, state, data FROM tasks ORDER BY id").await,
        "1|7|2|It's a \\ back\tslash|open|\\x00ff\n2|8|NULL|line\nbreak|done|NULL"
    );
    assert_eq!(worlds.answer("SELECT * FROM open_tasks").await, "1|Ana");
    assert_eq!(worlds.answer("UPDATE tasks SET state = 'done' WHERE id = 2 RETURNING title").await, "line\nbreak!");
    assert_eq!(worlds.answer("SELECT * FROM names()").await, "1|line\nbreak!|NULL\n7|Ana|2\n8|Bia|NULL");
    assert_eq!(worlds.stranger("SELECT title FROM tasks WHERE id = 2").await, "line\nbreak");
    worlds.clear().await;
}

#[tokio::test]
async fn rows_in_csv() {
    let worlds = Worlds::build(
        "BEGIN;
         CREATE TABLE parents (id int PRIMARY KEY, name text);
         CREATE TABLE children (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parent int REFERENCES parents, note text);
         COMMIT;\n\
         COPY children FROM STDIN WITH (FORMAT csv, HEADER);\nid,parent,note\n1,1,\"a, \"\"b\"\"\"\n2,,\n\\.\n\
         COPY parents (id, name) FROM STDIN CSV NULL '-';\n1,-\n2,x\n\\.\n\
         UPDATE parents SET name = 'two' WHERE id = 2;",
        "",
    )
    .await;
    assert_eq!(worlds.answer("SELECT id, parent, note FROM children ORDER BY id").await, "1|1|a, \"b\"\n2|NULL|NULL");
    assert_eq!(worlds.answer("SELECT id, name FROM parents ORDER BY id").await, "1|NULL\n2|two");
    worlds.clear().await;
}

#[tokio::test]
async fn a_history_of_migrations_leaves_what_lasts() {
    let worlds = Worlds::build(
        "CREATE TABLE people (id int PRIMARY KEY, name text, roles text);
         CREATE TABLE old (id int);
         UPDATE people SET roles = '{}'; DELETE FROM people WHERE roles IS NULL;
         INSERT INTO people (id, name, roles) VALUES (1, 'Ana', 'x') RETURNING *;
         INSERT INTO old VALUES (1);
         ALTER TABLE people DROP COLUMN roles; DROP TABLE old;
         SET CONSTRAINTS ALL IMMEDIATE;",
        "",
    )
    .await;
    assert_eq!(worlds.answer("SELECT id, name FROM people").await, "1|Ana");
    worlds.clear().await;
}

#[tokio::test]
async fn inserts_of_a_dump_go_parents_first() {
    let worlds = Worlds::build(
        "CREATE TABLE animals (id int, client int); CREATE TABLE clients (id int PRIMARY KEY);
         INSERT INTO animals VALUES (1, 7); INSERT INTO animals VALUES (2, 8);
         INSERT INTO clients VALUES (7); INSERT INTO clients VALUES (8);
         ALTER TABLE ONLY animals ADD FOREIGN KEY (client) REFERENCES clients;",
        "",
    )
    .await;
    assert_eq!(worlds.answer("SELECT count(*) FROM animals JOIN clients c ON c.id = client").await, "2");
    worlds.clear().await;
}

#[tokio::test]
async fn rows_fire_only_triggers_that_stand_before_them() {
    let worlds = Worlds::build(
        "CREATE TABLE docs (id int PRIMARY KEY, body text);
         CREATE TABLE log (at serial, what text);
         CREATE VIEW bodies AS SELECT body FROM docs;
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN INSERT INTO log (what) VALUES (TG_NAME || coalesce(NEW.id::text, '')); RETURN NULL; END $$;
         CREATE FUNCTION through() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN INSERT INTO docs VALUES (9, NEW.body); RETURN NEW; END $$;
         UPDATE docs SET body = '';
         CREATE TRIGGER before_all AFTER DELETE ON docs EXECUTE FUNCTION note();
         INSERT INTO docs VALUES (1, 'a');
         CREATE TRIGGER row AFTER INSERT ON docs FOR EACH ROW WHEN (NEW.id <> 2 AND (NEW.id > 0 OR NEW.body = ''))
             EXECUTE FUNCTION note();
         CREATE TRIGGER through INSTEAD OF INSERT ON bodies FOR EACH ROW EXECUTE FUNCTION through();
         INSERT INTO docs VALUES (2, 'b'); INSERT INTO docs VALUES (3, 'c');
         CREATE TRIGGER statement AFTER INSERT ON docs EXECUTE FUNCTION note();
         CREATE CONSTRAINT TRIGGER late AFTER INSERT ON docs DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
             WHEN (NEW.id > 1 OR NEW.body = '') EXECUTE FUNCTION note();
         INSERT INTO docs VALUES (4, 'd');",
        "INSERT INTO docs VALUES (5, 'e');",
    )
    .await;
    assert!(worlds.plan.loads());
    let log = "SELECT string_agg(what, ' ' ORDER BY at) FROM log";
    assert_eq!(worlds.answer(log).await, "row3 row4 statement late4 row5 statement late5");
    assert_eq!(worlds.stranger(log).await, "row3 row4 statement late4 row5 statement late5");
    assert_eq!(worlds.answer("INSERT INTO bodies VALUES ('f')").await, "");
    assert_eq!(worlds.answer("SELECT what FROM log ORDER BY at OFFSET 7").await, "row9\nstatement\nlate9");
    let conditions = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgqual IS NOT NULL
         AND pg_get_triggerdef(oid) LIKE '%sindico.loading(%' AND tgrelid = 'docs'::regclass ORDER BY 1";
    assert_eq!(worlds.answer(conditions).await, "late\nrow\nstatement");
    worlds.clear().await;
}

#[test]
fn triggers_before_rows_stay_as_they_are() {
    let file = |name: &str, text: &str| tenantize::SqlFile { name: name.to_owned(), text: text.to_owned() };
    let migration = "CREATE TABLE docs (id int PRIMARY KEY);
        UPDATE docs SET id = 1;
        CREATE TRIGGER t BEFORE UPDATE ON docs FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
        INSERT INTO docs VALUES (1);";
    let sources = tenantize::Sources { migrations: vec![file("migrations/1.sql", migration)], seed: Vec::new() };
    let plan = tenantize::plan(&sources).unwrap_or_else(|refusals| panic!("{refusals}"));
    assert!(!plan.loads());
    let steps = plan.migrations().iter().chain(plan.seed());
    let texts = steps.flat_map(|step| step.shared.iter().chain(&step.own));
    assert!({ texts }.all(|sql| !sql.contains("loading")));
}

#[tokio::test]
async fn counters_go_on_where_the_dump_says() {
    let worlds = Worlds::build(
        "CREATE TABLE public.old (id integer NOT NULL, body text);
         CREATE SEQUENCE public.old_id_seq AS integer START WITH 1 INCREMENT BY 1 NO MINVALUE NO MAXVALUE CACHE 1;
         ALTER SEQUENCE public.old_id_seq OWNED BY public.old.id;
         CREATE TABLE public.new (id bigint NOT NULL, body text);
         ALTER TABLE public.new ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
             SEQUENCE NAME public.new_id_seq START WITH 1 INCREMENT BY 1 NO MINVALUE NO MAXVALUE CACHE 1);
         CREATE TABLE public.strict (id bigint NOT NULL, body text);
         ALTER TABLE public.strict ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
             SEQUENCE NAME public.strict_id_seq START WITH 1 INCREMENT BY 1 NO MINVALUE NO MAXVALUE CACHE 1);
         CREATE TABLE public.empty (id integer NOT NULL, body text);
         CREATE SEQUENCE public.empty_id_seq AS integer START WITH 1 INCREMENT BY 1 NO MINVALUE NO MAXVALUE CACHE 1;
         ALTER SEQUENCE public.empty_id_seq OWNED BY public.empty.id;
         ALTER TABLE ONLY public.old ALTER COLUMN id SET DEFAULT nextval('public.old_id_seq'::regclass);
         ALTER TABLE ONLY public.empty ALTER COLUMN id SET DEFAULT nextval('public.empty_id_seq'::regclass);
         COPY public.empty (id, body) FROM stdin;\n\\.\n
         COPY public.new (id, body) FROM stdin;\n3\ta\n40\tb\n\\.\n
         COPY public.old (id, body) FROM stdin;\n5\ta\n6\tb\n\\.\n
         INSERT INTO public.strict OVERRIDING SYSTEM VALUE VALUES (7, 'a');
         SELECT pg_catalog.setval('public.empty_id_seq', 1, false);
         SELECT pg_catalog.setval('public.new_id_seq', 41, true);
         SELECT pg_catalog.setval('public.old_id_seq', 6, true);
         SELECT pg_catalog.setval('public.strict_id_seq', 7, true);
         ALTER TABLE ONLY public.old ADD CONSTRAINT old_pkey PRIMARY KEY (id);
         ALTER TABLE ONLY public.new ADD CONSTRAINT new_pkey PRIMARY KEY (id);
         ALTER TABLE ONLY public.strict ADD CONSTRAINT strict_pkey PRIMARY KEY (id);",
        "",
    )
    .await;
    for (table, next) in [("old", "7\n8"), ("new", "42\n43"), ("strict", "8\n9"), ("empty", "1\n2")] {
        let sql = format!("INSERT INTO {table} (body) VALUES ('x'), ('y') RETURNING id");
        assert_eq!(worlds.answer(&sql).await, next);
        assert_eq!(worlds.stranger(&sql).await, next);
    }
    assert_eq!(worlds.answer("SELECT id FROM strict ORDER BY id").await, "7\n8\n9");
    worlds.clear().await;
}

#[tokio::test]
async fn rows_of_partitions_go_before_what_refers_to_their_table() {
    let worlds = Worlds::build(
        "CREATE TABLE a_notes (event int, day date);
         CREATE TABLE b_places (id int PRIMARY KEY, event int, day date);
         CREATE TABLE events (id int NOT NULL, day date NOT NULL, place int) PARTITION BY RANGE (day);
         CREATE TABLE events_old (id int NOT NULL, day date NOT NULL, place int) PARTITION BY LIST (id);
         ALTER TABLE ONLY events ATTACH PARTITION events_old FOR VALUES FROM ('2000-01-01') TO ('2020-01-01');
         CREATE TABLE events_old_1 (id int NOT NULL, day date NOT NULL, place int);
         ALTER TABLE ONLY events_old ATTACH PARTITION events_old_1 FOR VALUES IN (1);
         CREATE TABLE z_places (id int NOT NULL);
         INSERT INTO a_notes VALUES (1, '2010-01-01');
         INSERT INTO b_places VALUES (3, 1, '2010-01-01');
         INSERT INTO events_old_1 VALUES (1, '2010-01-01', 2);
         INSERT INTO z_places VALUES (2);
         ALTER TABLE ONLY events ADD CONSTRAINT events_pkey PRIMARY KEY (id, day);
         ALTER TABLE ONLY events_old ADD CONSTRAINT events_old_pkey PRIMARY KEY (id, day);
         ALTER TABLE ONLY events_old_1 ADD CONSTRAINT events_old_1_pkey PRIMARY KEY (id, day);
         ALTER INDEX events_pkey ATTACH PARTITION events_old_pkey;
         ALTER INDEX events_old_pkey ATTACH PARTITION events_old_1_pkey;
         ALTER TABLE ONLY z_places ADD PRIMARY KEY (id);
         ALTER TABLE a_notes ADD FOREIGN KEY (event, day) REFERENCES events;
         ALTER TABLE b_places ADD FOREIGN KEY (event, day) REFERENCES events;
         ALTER TABLE events ADD FOREIGN KEY (place) REFERENCES z_places;",
        "",
    )
    .await;
    assert_eq!(worlds.answer("SELECT event, place FROM a_notes JOIN events ON id = event").await, "1|2");
    worlds.clear().await;
}
