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
