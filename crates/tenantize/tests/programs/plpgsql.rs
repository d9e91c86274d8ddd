//! What PL/pgSQL has words for: PostgreSQL's reader, which knows none of the app's types, reads all of it.

use crate::worlds::Worlds;

const TABLES: &str = "CREATE TYPE stage AS ENUM ('new', 'done');
     CREATE DOMAIN digits AS text CHECK (VALUE ~ '^[0-9]+$');
     CREATE TYPE place AS (street text, no int);
     CREATE DOMAIN known_place AS place CHECK ((VALUE).no > 0);
     CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION ltree;
     CREATE TABLE jobs (id int PRIMARY KEY, stage stage DEFAULT 'new', code digits, mail citext, extra hstore,
         path ltree, n int DEFAULT 0, home place);
     CREATE TABLE \"Odd\" (\"Id\" int PRIMARY KEY, \"order\" int);";

const SEED: &str = "INSERT INTO jobs VALUES (1, 'new', '11', 'A@b', 'k=>v', 'a.b', 5, ROW('high', 7)::place),
         (2, 'done', '22', 'c@d', NULL, 'a.c', 8, NULL);
     INSERT INTO \"Odd\" VALUES (1, 10), (2, 20);";

async fn worlds(functions: &str) -> Worlds {
    Worlds::build(&format!("{TABLES} {functions}"), SEED).await
}

#[tokio::test]
async fn several_targets_take_arguments() {
    let worlds = worlds(
        "CREATE FUNCTION pair(OUT a text, OUT b int) LANGUAGE plpgsql AS $$ BEGIN SELECT 'a', 1 INTO a, b; END $$;
         CREATE FUNCTION of_all(p int, OUT total bigint, OUT most int) LANGUAGE plpgsql AS $$
         BEGIN SELECT count(*), max(n) INTO total, most FROM jobs WHERE id >= p; END $$;
         CREATE FUNCTION one(a int, b int) RETURNS int LANGUAGE plpgsql AS $$
         BEGIN SELECT id, n INTO a, b FROM jobs ORDER BY id DESC LIMIT 1; RETURN a * 100 + b; END $$;
         CREATE FUNCTION pairs() RETURNS TABLE (x int, y stage) LANGUAGE plpgsql AS $$
         BEGIN FOR x, y IN SELECT j.id, j.stage FROM jobs j ORDER BY 1 LOOP RETURN NEXT; END LOOP; END $$;
         CREATE FUNCTION single() RETURNS TABLE (x int) LANGUAGE plpgsql AS $$
         BEGIN FOR x IN SELECT j.id FROM jobs j ORDER BY 1 LOOP RETURN NEXT; END LOOP; END $$;
         CREATE FUNCTION one_out(p int, OUT total int) RETURNS int LANGUAGE plpgsql AS $$
         BEGIN SELECT n INTO total FROM jobs WHERE id = p; END $$;
         CREATE FUNCTION set_of(OUT x int, OUT y text) RETURNS SETOF record LANGUAGE plpgsql AS $$
         BEGIN RETURN QUERY SELECT j.id, j.code::text FROM jobs j ORDER BY 1; END $$;
         CREATE FUNCTION set_of_one(OUT x int) RETURNS SETOF int LANGUAGE plpgsql AS $$
         BEGIN x := 4; RETURN NEXT; x := 5; RETURN NEXT; END $$;
         CREATE PROCEDURE change(p int, INOUT s stage DEFAULT NULL, INOUT c digits DEFAULT NULL) LANGUAGE plpgsql AS $$
         BEGIN UPDATE jobs SET stage = 'done' WHERE id = p RETURNING stage, code INTO STRICT s, c; END $$;
         CREATE PROCEDURE alone(INOUT v int) LANGUAGE plpgsql AS $$ BEGIN v := v + 1; END $$;
         CREATE FUNCTION lists(a int[], b stage[], OUT c int, OUT d stage[]) LANGUAGE plpgsql AS $$
         BEGIN SELECT a[1], b INTO c, d; d[2] := 'new'; END $$;
         CREATE FUNCTION of_column(a jobs.code%TYPE, b jobs.home%TYPE) RETURNS text LANGUAGE plpgsql AS $$
         BEGIN b.no := b.no + 1; SELECT code, n INTO a, b.no FROM jobs WHERE id = 2; RETURN a || b::text; END $$;
         CREATE FUNCTION moved(p place, k known_place, j jobs) RETURNS text LANGUAGE plpgsql AS $$
         BEGIN p.no := 1; k.no := 2; j.n := 3; SELECT 'x', 'y' INTO p.street, k.street;
         RETURN p::text || k::text || j.n; END $$;",
    )
    .await;
    assert_eq!(worlds.answer("SELECT * FROM pair()").await, "a|1");
    assert_eq!(worlds.answer("SELECT * FROM of_all(1)").await, "2|8");
    assert_eq!(worlds.answer("SELECT one(1, 1), one_out(1)").await, "208|5");
    assert_eq!(worlds.answer("SELECT * FROM pairs()").await, "1|new\n2|done");
    assert_eq!(worlds.answer("SELECT * FROM single()").await, "1\n2");
    assert_eq!(worlds.answer("SELECT * FROM set_of()").await, "1|11\n2|22");
    assert_eq!(worlds.answer("SELECT * FROM set_of_one()").await, "4\n5");
    assert_eq!(worlds.answer("CALL change(1)").await, "done|11");
    assert_eq!(worlds.answer("CALL change(9)").await, "P0002 query returned no rows");
    assert_eq!(worlds.answer("CALL alone(3)").await, "4");
    assert_eq!(worlds.answer("SELECT * FROM lists('{3,4}', '{done}')").await, "3|{done,new}");
    assert_eq!(worlds.answer("SELECT of_column('1', ROW('a', 1)::place)").await, "22(a,8)");
    assert_eq!(
        worlds.answer("SELECT moved(ROW('a', 9), ROW('b', 9)::place, j) FROM jobs j WHERE id = 1").await,
        "(x,1)(y,2)3"
    );
    assert_eq!(worlds.stranger("SELECT * FROM of_all(2)").await, "1|8");
    worlds.clear().await;
}

#[tokio::test]
async fn variables_have_the_apps_types() {
    let worlds = worlds(
        "CREATE FUNCTION several(p int) RETURNS text LANGUAGE plpgsql AS $$
         <<outer>>
         DECLARE
             x stage; y int = 0; c public.digits; m citext COLLATE \"C\"; e hstore; l ltree; t varchar (10) NOT NULL := 'x';
             k CONSTANT digits := '7'; xs stage[] DEFAULT '{}'; d numeric(10, 2); like_x outer.x%TYPE; like_y y%TYPE;
             col jobs.stage%TYPE; DECLARE late interval day to second; \"Quoted one\" stage;
         BEGIN
             SELECT stage, n, code, mail, extra, path INTO x, y, c, m, e, l FROM jobs WHERE id = p;
             SELECT stage, array_agg(stage), n, n INTO col, xs, d, like_y FROM jobs WHERE id = p GROUP BY stage, n;
             SELECT stage, stage INTO \"Quoted one\", like_x FROM jobs WHERE id = p;
             RETURN concat_ws(' ', x, y, c, m, e, l, t, k, xs, d, like_y, col, \"Quoted one\", like_x);
         END $$;
         CREATE FUNCTION row_types() RETURNS text LANGUAGE plpgsql AS $$
         DECLARE r jobs%ROWTYPE; s public.jobs%ROWTYPE; q jobs; p place; h jobs.home%TYPE; k known_place; z record;
         BEGIN
             SELECT * INTO r FROM jobs WHERE id = 1; r.n := r.n + 1;
             SELECT n INTO s.n FROM jobs WHERE id = 2;
             SELECT n, code INTO q.n, q.code FROM jobs WHERE id = 1;
             SELECT (home).* INTO h FROM jobs WHERE id = 1; h.no := h.no + 1;
             p.street := 'low'; k := ROW('k', 1); k.no := 3; r.home.street := 'deep';
             SELECT 1 AS a, 2 AS b INTO z; z.a := 5;
             UPDATE jobs SET n = r.n WHERE id = r.id RETURNING n, code INTO q.n, q.code;
             RETURN concat_ws(' ', r.n, s.n, q.n, q.code, p.street, h.no, k.no, (r.home).street, z.a);
         END $$;
         CREATE FUNCTION inner_blocks(a int) RETURNS text LANGUAGE plpgsql AS $body$
         #variable_conflict use_column
         DECLARE x stage := 'new'; said text := '';
         BEGIN
             -- DECLARE x nothing; BEGIN
             <<within>>
             DECLARE x int := 3; place place; first ALIAS FOR $1; second ALIAS FOR first;
             BEGIN
                 said := said || within.x || first || second; place.no := 4;
                 DECLARE x digits; jobs jobs; BEGIN
                     SELECT code, n INTO x, jobs.n FROM jobs WHERE id = 1; said := said || x || jobs.n || place.no;
                     PERFORM 1 / 0;
                 EXCEPTION WHEN division_by_zero OR unique_violation THEN
                     DECLARE msg text; state text; BEGIN
                         GET STACKED DIAGNOSTICS msg = MESSAGE_TEXT, state = RETURNED_SQLSTATE;
                         said := said || state;
                     END;
                 END;
             END within;
             RETURN said || x;
         END $body$;",
    )
    .await;
    assert_eq!(worlds.answer("SELECT several(1)").await, "new 5 11 A@b \"k\"=>\"v\" a.b x 7 {new} 5.00 5 new new new");
    assert_eq!(worlds.answer("SELECT row_types()").await, "6 8 6 11 low 8 3 deep 5");
    assert_eq!(worlds.answer("SELECT inner_blocks(2)").await, "322116422012new");
    worlds.clear().await;
}

#[tokio::test]
async fn cursors_loops_and_diagnostics() {
    let worlds = worlds(
        "CREATE FUNCTION opened(c refcursor) RETURNS refcursor LANGUAGE plpgsql AS $$
         BEGIN OPEN c FOR SELECT id, n FROM jobs ORDER BY id; RETURN c; END $$;
         CREATE FUNCTION two(c refcursor, OUT d refcursor, OUT n int) LANGUAGE plpgsql AS $$
         BEGIN OPEN c FOR SELECT id FROM jobs ORDER BY id; d := 'd'; OPEN d SCROLL FOR EXECUTE 'SELECT 5';
         FETCH c INTO n; CLOSE c; FETCH FIRST FROM d INTO n; END $$;
         CREATE FUNCTION bound(s stage) RETURNS text LANGUAGE plpgsql AS $$
         DECLARE
             c NO SCROLL CURSOR (wanted stage, least int) FOR SELECT id, code FROM jobs WHERE stage = wanted AND n > least;
             all_of CURSOR IS SELECT * FROM jobs ORDER BY id; free refcursor; i int; k digits; said text := ''; r jobs%ROWTYPE;
         BEGIN
             OPEN c (s, least := 0); FETCH c INTO i, k; MOVE c; CLOSE c;
             FOR one IN c('done', 1) LOOP said := said || one.code; END LOOP;
             FOR r IN SELECT * FROM jobs ORDER BY id LOOP said := said || r.code; END LOOP;
             OPEN all_of; FETCH all_of INTO r; UPDATE jobs SET n = n + 1 WHERE CURRENT OF all_of; CLOSE all_of;
             OPEN free FOR SELECT id, code FROM jobs ORDER BY id DESC; FETCH free INTO i, k; CLOSE free;
             RETURN said || i || k || r.n;
         END $$;
         CREATE FUNCTION loops(xs stage[], ps place[]) RETURNS text LANGUAGE plpgsql AS $$
         DECLARE x stage; p place; s stage[]; said text := ''; rows bigint; i int; code digits;
         BEGIN
             FOREACH x IN ARRAY xs LOOP said := said || x; END LOOP;
             FOREACH p IN ARRAY ps LOOP p.no := p.no + 1; said := said || p.no; END LOOP;
             FOREACH s SLICE 1 IN ARRAY xs LOOP said := said || cardinality(s); END LOOP;
             <<counting>> FOR i IN REVERSE 3..1 BY 2 LOOP
                 CONTINUE counting WHEN i = 1; said := said || i; EXIT counting;
             END LOOP;
             WHILE length(said) < 20 LOOP said := said || '.'; END LOOP;
             UPDATE jobs SET n = n + 1; GET DIAGNOSTICS rows = ROW_COUNT; said := said || rows;
             EXECUTE 'SELECT id, code FROM jobs WHERE id = $1' INTO STRICT i, code USING 2;
             CASE x WHEN 'new' THEN said := said || 'N'; WHEN 'done' THEN said := said || 'D'; END CASE;
             CASE WHEN i = 2 THEN NULL; ELSE RAISE EXCEPTION USING MESSAGE = 'no'; END CASE;
             FOR i, code IN EXECUTE 'SELECT id, code FROM jobs ORDER BY id' LOOP said := said || i || code; END LOOP;
             INSERT INTO jobs (id) VALUES (3) ON CONFLICT (id) DO UPDATE SET n = 1 RETURNING id, stage INTO STRICT i, x;
             DELETE FROM jobs WHERE id = 3 RETURNING id, stage INTO i, x;
             ASSERT i = 3, 'three'; RAISE NOTICE '% %', i, x;
             RETURN said || i || x;
         END $$;
         CREATE FUNCTION summed(v1 anyelement, v2 anyelement) RETURNS anyelement LANGUAGE plpgsql AS $$
         DECLARE result ALIAS FOR $0; BEGIN result := v1 + v2; RETURN result; END $$;
         CREATE FUNCTION of_catalog() RETURNS text LANGUAGE plpgsql AS $$
         DECLARE c pg_catalog.pg_class%ROWTYPE; t pg_type; u pg_catalog.int4; v information_schema.sql_identifier;
         BEGIN SELECT 'x', 1, 'y' INTO t.typname, u, v; c.relname := 'z'; RETURN t.typname || u || v || c.relname; END $$;
         CREATE FUNCTION stamped() RETURNS trigger LANGUAGE plpgsql AS $$
         DECLARE s stage; c digits; was jobs%ROWTYPE;
         BEGIN
             SELECT 'done', '9' INTO s, c; was := OLD; was.n := was.n + 1;
             SELECT s, c INTO NEW.stage, NEW.code; NEW.n := was.n; RETURN NEW;
         END $$;
         CREATE TRIGGER stamped BEFORE UPDATE OF mail ON jobs FOR EACH ROW EXECUTE FUNCTION stamped();",
    )
    .await;
    assert_eq!(worlds.answer("BEGIN; SELECT opened('c'); FETCH ALL FROM c; COMMIT").await, "c\n1|5\n2|8");
    assert_eq!(worlds.answer("SELECT * FROM two('x')").await, "d|5");
    assert_eq!(worlds.answer("SELECT bound('new')").await, "2211222225");
    assert_eq!(
        worlds.answer("SELECT loops('{new,done}', ARRAY[ROW('a', 1)]::place[])").await,
        "newdone223..........2D1112223new"
    );
    assert_eq!(worlds.answer("SELECT summed(1, 2)").await, "3");
    assert_eq!(worlds.answer("SELECT of_catalog()").await, "x1yz");
    assert_eq!(worlds.answer("UPDATE jobs SET mail = 'q' WHERE id = 1 RETURNING stage, code, n").await, "done|9|8");
    assert_eq!(worlds.stranger("SELECT n FROM jobs ORDER BY id").await, "5\n8");
    worlds.clear().await;
}

#[tokio::test]
async fn what_case_compares_with_is_adapted_too() {
    let worlds = worlds(
        "CREATE FUNCTION which(asked text) RETURNS text LANGUAGE plpgsql AS $$
         BEGIN
             CASE asked
                 WHEN 'none', (SELECT code FROM jobs GROUP BY id ORDER BY id LIMIT 1) THEN RETURN 'first';
                 WHEN (SELECT code FROM public.jobs GROUP BY id ORDER BY id DESC LIMIT 1) THEN RETURN 'last';
                 ELSE RETURN 'other';
             END CASE;
         END $$;",
    )
    .await;
    let asked = "SELECT which('none'), which('11'), which('22'), which('33')";
    assert_eq!(worlds.answer(asked).await, "first|first|last|other");
    worlds.clear().await;
}
