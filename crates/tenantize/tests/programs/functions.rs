//! Functions and procedures.

use crate::worlds::Worlds;

#[tokio::test]
async fn functions_in_sql() {
    let worlds = Worlds::build(
        "CREATE TABLE items (id int PRIMARY KEY, name text UNIQUE, price int);
         CREATE FUNCTION public.twice(n int) RETURNS int LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT $1 * 2';
         CREATE FUNCTION twice(t text) RETURNS text LANGUAGE sql AS $$ SELECT t || t $$;
         CREATE FUNCTION cheap(lim int DEFAULT 10) RETURNS SETOF items LANGUAGE sql STABLE
             AS $$ SELECT * FROM public.items WHERE price < lim ORDER BY id $$;
         CREATE FUNCTION listed() RETURNS TABLE (id int, name text, price int) LANGUAGE sql
             AS $$ SELECT * FROM items ORDER BY id $$;
         CREATE FUNCTION keep(i int, n text) RETURNS void LANGUAGE sql AS
             $$ INSERT INTO items (id, name, price) VALUES (i, n, 1) ON CONFLICT (name) DO UPDATE SET price = 99 $$;
         CREATE FUNCTION atomic(i int) RETURNS text LANGUAGE sql
             BEGIN ATOMIC SELECT x.name FROM (SELECT * FROM public.items) x WHERE x.id = i; END;
         CREATE FUNCTION returned(i int) RETURNS int RETURN twice(i) + (SELECT count(*) FROM items)::int;
         CREATE FUNCTION pair(OUT a int, OUT b text) LANGUAGE sql AS $$ SELECT 1, 'x' $$;
         CREATE FUNCTION total(VARIADIC n int[]) RETURNS bigint LANGUAGE sql AS $$ SELECT sum(x) FROM unnest(n) x $$;
         CREATE FUNCTION first_of(a anyelement, b anyelement) RETURNS anyelement LANGUAGE sql AS $$ SELECT a $$;
         CREATE FUNCTION fixed() RETURNS bigint LANGUAGE sql SET search_path = public, pg_temp
             AS $$ SELECT count(*) FROM items $$;
         CREATE FUNCTION empty_path() RETURNS bigint LANGUAGE sql SET search_path TO ''
             AS $$ SELECT count(*) FROM public.items $$;
         ALTER FUNCTION fixed() SET search_path = public; ALTER FUNCTION fixed() OWNER TO nobody;
         ALTER FUNCTION twice(text) RENAME TO doubled; ALTER FUNCTION doubled(text) COST 50;
         CREATE FUNCTION gone() RETURNS int LANGUAGE sql AS 'SELECT 1'; DROP FUNCTION gone();
         DROP FUNCTION IF EXISTS never(int, text);
         CREATE OR REPLACE FUNCTION public.twice(n int) RETURNS int LANGUAGE sql AS 'SELECT $1 + $1';
         COMMENT ON FUNCTION public.twice(integer) IS 'two'; GRANT EXECUTE ON FUNCTION twice(int) TO PUBLIC;
         CREATE TABLE priced (id int PRIMARY KEY, price int DEFAULT twice(4) CHECK (price > twice(1)));",
        "SELECT keep(1, 'one'); SELECT keep(2, 'two'); SELECT keep(3, 'two');",
    )
    .await;
    assert_eq!(worlds.answer("SELECT twice(3), doubled('a'), returned(1)").await, "6|aa|4");
    assert_eq!(worlds.answer("SELECT id, name, price FROM cheap()").await, "1|one|1");
    assert_eq!(worlds.answer("SELECT * FROM listed()").await, "1|one|1\n2|two|99");
    assert_eq!(
        worlds.answer("SELECT atomic(2), fixed(), empty_path(), total(1, 2, 3), first_of('a'::text, 'b')").await,
        "two|2|2|6|a"
    );
    assert_eq!(worlds.answer("SELECT * FROM pair()").await, "1|x");
    assert_eq!(worlds.answer("INSERT INTO priced (id) VALUES (1) RETURNING price").await, "8");
    assert_eq!(worlds.answer("INSERT INTO items VALUES (5, 'five', 5)").await, "");
    assert_eq!(worlds.answer("SELECT fixed()").await, "3");
    assert_eq!(worlds.stranger("SELECT fixed()").await, "2");
    worlds.clear().await;
}

#[tokio::test]
async fn functions_in_plpgsql() {
    let worlds = Worlds::build(
        "CREATE TABLE items (id int PRIMARY KEY, name text UNIQUE, price int);
         CREATE TABLE parts (id int PRIMARY KEY, item_id int REFERENCES items, cost int);
         CREATE FUNCTION upsert(i int, n text) RETURNS public.items LANGUAGE plpgsql AS $body$
         DECLARE
             found_row public.items%ROWTYPE;
             price public.items.price%TYPE := 1;
         BEGIN
             -- ON CONFLICT (name) in a comment
             INSERT INTO public.items (id, name, price) VALUES (i, n, price)
                 ON CONFLICT (name) DO UPDATE SET price = items.price + 1
                 RETURNING * INTO STRICT found_row;
             RETURN found_row;
         END $body$;
         CREATE FUNCTION report() RETURNS TABLE (item int, label text, n bigint) LANGUAGE plpgsql STABLE AS $$
         DECLARE r record;
         BEGIN
             FOR r IN SELECT i.id, i.name, count(p.id) AS c FROM items i LEFT JOIN parts p ON p.item_id = i.id
                 GROUP BY i.id ORDER BY i.id
             LOOP
                 item := r.id; label := r.name; n := r.c;
                 RETURN NEXT;
             END LOOP;
             RETURN QUERY SELECT x.id, x.name, 0::bigint FROM items x WHERE x.id > 100;
             IF NOT FOUND THEN RAISE NOTICE 'none % left', 100; END IF;
         END $$;
         CREATE FUNCTION every() RETURNS TABLE (id int, name text, price int) LANGUAGE plpgsql AS $$
         BEGIN RETURN QUERY SELECT * FROM items ORDER BY 1; END $$;
         CREATE FUNCTION rows_of() RETURNS SETOF items LANGUAGE plpgsql AS $$
         BEGIN RETURN QUERY SELECT * FROM items i ORDER BY i.id; END $$;
         CREATE FUNCTION dynamic(t text) RETURNS bigint LANGUAGE plpgsql AS $$
         DECLARE n bigint; BEGIN EXECUTE format('SELECT count(*) FROM %I', t) INTO n; RETURN n; END $$;
         CREATE PROCEDURE add_part(i int, c int, INOUT done boolean DEFAULT false) LANGUAGE plpgsql AS $$
         BEGIN
             INSERT INTO parts VALUES (i, 1, c);
             PERFORM upsert(50, 'fifty');
             done := true;
         EXCEPTION WHEN unique_violation THEN done := false;
         END $$;",
        "SELECT upsert(1, 'one');",
    )
    .await;
    assert_eq!(worlds.answer("SELECT id, name, price FROM upsert(1, 'one')").await, "1|one|2");
    assert_eq!(worlds.answer("CALL add_part(7, 3)").await, "t");
    assert_eq!(worlds.answer("CALL add_part(7, 3)").await, "f");
    assert_eq!(worlds.answer("SELECT * FROM report()").await, "1|one|1\n50|fifty|0");
    assert_eq!(worlds.answer("SELECT * FROM every()").await, "1|one|2\n50|fifty|1");
    assert_eq!(worlds.answer("SELECT id, name, price FROM rows_of()").await, "1|one|2\n50|fifty|1");
    assert_eq!(worlds.answer("SELECT dynamic('parts')").await, "1");
    assert_eq!(worlds.stranger("SELECT * FROM every()").await, "1|one|1");
    worlds.clear().await;
}
