//! Triggers.

use crate::worlds::Worlds;

#[tokio::test]
async fn triggers_see_and_write_the_tenants_rows() {
    let worlds = Worlds::build(
        "CREATE TABLE docs (id int PRIMARY KEY, body text, changed int DEFAULT 0, tsv tsvector);
         CREATE TABLE log (n int GENERATED ALWAYS AS IDENTITY, op text, row jsonb, doc json);
         CREATE TABLE counts (what text PRIMARY KEY, n int);
         CREATE VIEW bodies AS SELECT id, body FROM docs;
         CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN NEW.changed := OLD.changed + 1; RETURN NEW; END $$;
         CREATE FUNCTION audit_row() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF TG_OP = 'DELETE' THEN
                 INSERT INTO log (op, row) VALUES (TG_TABLE_NAME, to_jsonb(OLD));
             ELSE
                 INSERT INTO log (op, row, doc) VALUES (TG_TABLE_NAME, to_jsonb(NEW), row_to_json(NEW));
             END IF;
             RETURN NULL;
         END $$;
         CREATE FUNCTION count_new() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             INSERT INTO counts SELECT 'docs', count(*) FROM fresh
                 ON CONFLICT (what) DO UPDATE SET n = counts.n + excluded.n;
             RETURN NULL;
         END $$;
         CREATE FUNCTION through_view() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN INSERT INTO docs (id, body) VALUES (NEW.id, upper(NEW.body)); RETURN NEW; END $$;
         CREATE FUNCTION no_empty() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN IF NEW.body = '' THEN RAISE EXCEPTION 'empty %', NEW.id USING ERRCODE = 'check_violation'; END IF;
         RETURN NEW; END $$;
         CREATE TRIGGER touched BEFORE UPDATE OF body ON public.docs FOR EACH ROW
             WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE PROCEDURE public.touch();
         CREATE TRIGGER audited AFTER INSERT OR UPDATE OR DELETE ON docs FOR EACH ROW EXECUTE FUNCTION audit_row();
         CREATE TRIGGER counted AFTER INSERT ON docs REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT
             EXECUTE FUNCTION count_new();
         CREATE TRIGGER filled INSTEAD OF INSERT ON bodies FOR EACH ROW EXECUTE FUNCTION through_view();
         CREATE CONSTRAINT TRIGGER not_empty AFTER INSERT ON docs DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
             EXECUTE FUNCTION no_empty();
         CREATE TRIGGER search BEFORE INSERT OR UPDATE ON docs FOR EACH ROW
             EXECUTE FUNCTION tsvector_update_trigger(tsv, 'pg_catalog.english', body);
         CREATE TRIGGER unwanted AFTER DELETE ON docs EXECUTE FUNCTION no_empty();
         ALTER TRIGGER unwanted ON docs RENAME TO not_wanted; COMMENT ON TRIGGER not_wanted ON docs IS 'x';
         DROP TRIGGER not_wanted ON public.docs; DROP TRIGGER IF EXISTS never ON docs;
         DROP FUNCTION IF EXISTS audit();",
        "INSERT INTO docs (id, body) VALUES (1, 'cats'), (2, 'dogs');",
    )
    .await;
    assert_eq!(worlds.answer("UPDATE docs SET body = 'birds' WHERE id = 1 RETURNING changed").await, "1");
    assert_eq!(worlds.answer("UPDATE docs SET body = body WHERE id = 1 RETURNING changed").await, "1");
    assert_eq!(worlds.answer("INSERT INTO bodies VALUES (3, 'fish')").await, "");
    assert_eq!(worlds.answer("DELETE FROM docs WHERE id = 2").await, "");
    assert_eq!(
        worlds.answer("SELECT id, body, changed, tsv FROM docs ORDER BY id").await,
        "1|birds|1|'bird':1\n3|FISH|0|'fish':1"
    );
    assert_eq!(worlds.answer("SELECT what, n FROM counts").await, "docs|3");
    assert_eq!(
        worlds.answer("SELECT op, row - 'tsv', doc::jsonb - 'tsv' FROM log ORDER BY n LIMIT 1").await,
        "docs|{\"id\": 1, \"body\": \"cats\", \"changed\": 0}|{\"id\": 1, \"body\": \"cats\", \"changed\": 0}"
    );
    assert_eq!(worlds.answer("INSERT INTO docs VALUES (9, '')").await, "23514 empty 9");
    assert_eq!(worlds.stranger("SELECT id, body FROM docs ORDER BY id").await, "1|cats\n2|dogs");
    worlds.clear().await;
}
