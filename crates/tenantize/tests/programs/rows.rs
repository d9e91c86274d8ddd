//! Rows that go by a name: those of triggers, of variables and of functions.

use crate::worlds::Worlds;

#[tokio::test]
async fn rows_of_triggers_go_by_the_apps_columns() {
    let worlds = Worlds::build(
        "CREATE TABLE a (id int, n text);
         CREATE TABLE ah (id int, n text, op text, at text);
         CREATE TABLE twin (id int, n text);
         CREATE TABLE kept (id int, n text, more text, doc jsonb);
         CREATE FUNCTION changed() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             INSERT INTO ah SELECT OLD.*, TG_OP;
             INSERT INTO ah VALUES (OLD.*, 'values', 'x'), ((OLD).*, 'again', 'y');
             INSERT INTO kept VALUES (OLD.*, 'doc', to_jsonb(OLD.*) || jsonb_build_object('row', ROW(OLD.*)));
             EXECUTE 'INSERT INTO ah SELECT $1.*, ''dynamic''' USING OLD;
             RETURN OLD;
         END $$;
         CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN INSERT INTO ah SELECT n.*, 'I' FROM fresh n; INSERT INTO twin TABLE fresh; RETURN NULL; END $$;
         CREATE TRIGGER t AFTER DELETE ON a FOR EACH ROW EXECUTE FUNCTION changed();
         CREATE TRIGGER t AFTER DELETE ON twin FOR EACH ROW EXECUTE FUNCTION changed();
         CREATE TRIGGER s AFTER INSERT ON a REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT
             EXECUTE FUNCTION counted();",
        "INSERT INTO a VALUES (1, 'x');",
    )
    .await;
    assert_eq!(worlds.answer("DELETE FROM a").await, "");
    assert_eq!(worlds.answer("DELETE FROM twin").await, "");
    let one = "1|x|I|NULL\n1|x|DELETE|NULL\n1|x|values|x\n1|x|again|y\n1|x|dynamic|NULL";
    let again = "1|x|DELETE|NULL\n1|x|values|x\n1|x|again|y\n1|x|dynamic|NULL";
    assert_eq!(worlds.answer("SELECT id, n, op, at FROM ah").await, format!("{one}\n{again}"));
    assert_eq!(
        worlds.answer("SELECT id, n, more, doc FROM kept LIMIT 1").await,
        "1|x|doc|{\"n\": \"x\", \"id\": 1, \"row\": {\"f1\": 1, \"f2\": \"x\"}}"
    );
    worlds.clear().await;
}

#[tokio::test]
async fn rows_in_variables_are_written_by_the_apps_columns() {
    let worlds = Worlds::build(
        "CREATE TABLE t (id serial PRIMARY KEY, a text, b int);
         CREATE TABLE copied (id int, a text, b int, more text);
         CREATE TABLE late (id int); ALTER TABLE late ADD COLUMN a text; ALTER TABLE late ADD COLUMN b int;
         CREATE FUNCTION h() RETURNS t LANGUAGE plpgsql AS $$
         DECLARE r t; BEGIN r.id := 5; r.a := 'z'; r.b := 1; INSERT INTO t VALUES (r.*); RETURN r; END $$;
         CREATE FUNCTION k(j jsonb) RETURNS t LANGUAGE plpgsql AS $$
         DECLARE r t; BEGIN r := jsonb_populate_record(null::t, j); INSERT INTO t SELECT r.*; RETURN r; END $$;
         CREATE FUNCTION m(r t) RETURNS void LANGUAGE sql AS 'INSERT INTO copied SELECT r.*, ''sql''';
         CREATE FUNCTION p(r t) RETURNS void LANGUAGE sql AS 'INSERT INTO copied SELECT $1.*, ''sql''';
         CREATE FUNCTION found_rows() RETURNS int LANGUAGE plpgsql AS $$
         DECLARE whole t%ROWTYPE; mixed copied; i int; s text; n int := 0;
         BEGIN
             FOR whole IN SELECT * FROM t WHERE id = 5 LOOP
                 INSERT INTO copied SELECT whole.*, 'loop'; n := n + 1;
             END LOOP;
             SELECT * INTO whole FROM t WHERE id = 5;
             INSERT INTO copied VALUES ((whole).*, 'row'), (whole.*, 'again');
             IF whole IS NULL THEN RAISE EXCEPTION 'no row'; END IF;
             SELECT l.*, 1 INTO i, s FROM late l;
             EXECUTE 'SELECT * FROM t WHERE id = 5' INTO whole;
             INSERT INTO copied SELECT whole.*, 'execute';
             SELECT t.*, 'x' INTO mixed FROM t WHERE id = 5;
             INSERT INTO copied SELECT mixed.*;
             INSERT INTO late SELECT whole.*;
             RETURN n;
         END $$;
         CREATE FUNCTION l2() RETURNS TABLE (id int, n text, b int, x int) LANGUAGE plpgsql AS $$
         BEGIN RETURN QUERY EXECUTE 'SELECT t.*, 8 FROM t WHERE id = $1' USING 5; END $$;
         CREATE FUNCTION every() RETURNS SETOF t LANGUAGE sql AS 'SELECT * FROM t';",
        "",
    )
    .await;
    assert_eq!(worlds.answer("SELECT id, a, b FROM h()").await, "5|z|1");
    assert_eq!(worlds.answer("SELECT id, a, b FROM k('{\"id\": 6, \"a\": \"k\"}')").await, "6|k|NULL");
    assert_eq!(worlds.answer("SELECT m(t), p(t) FROM t WHERE id = 5").await, "NULL|NULL");
    assert_eq!(worlds.answer("INSERT INTO late (id, a, b) VALUES (1, 'l', 2)").await, "");
    assert_eq!(worlds.answer("SELECT found_rows()").await, "1");
    assert_eq!(
        worlds.answer("SELECT id, a, b, more FROM copied").await,
        ["sql", "sql", "loop", "row", "again", "execute", "x"].map(|more| format!("5|z|1|{more}")).join("\n")
    );
    assert_eq!(worlds.answer("SELECT id, a, b FROM late ORDER BY id").await, "1|l|2\n5|z|1");
    assert_eq!(worlds.answer("SELECT * FROM l2()").await, "5|z|1|8");
    worlds.clear().await;
}

/// What a function adapts by the columns that its tables have in the end.
#[tokio::test]
async fn columns_added_after_a_function_are_in_its_stars() {
    let worlds = Worlds::build(
        "CREATE TABLE a (id int); CREATE TABLE ah (id int, n text, op text);
         CREATE FUNCTION changed() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN INSERT INTO ah SELECT OLD.*, TG_OP; INSERT INTO ah SELECT *, 'after' FROM a; RETURN NULL; END $$;
         CREATE TRIGGER t AFTER UPDATE ON a FOR EACH ROW EXECUTE FUNCTION changed();
         ALTER TABLE a ADD COLUMN n text DEFAULT 'n';",
        "INSERT INTO a VALUES (1);",
    )
    .await;
    assert_eq!(worlds.answer("UPDATE a SET id = 2").await, "");
    assert_eq!(worlds.answer("SELECT id, n, op FROM ah").await, "1|n|UPDATE\n2|n|after");
    worlds.clear().await;
}
