//! A migration is run by a superuser's session, and what the app and its tenants have put into it stays where it belongs.

use super::*;

/// A trigger that fires at the end of the transaction, and writes down as whom.
const LATE: &str = "
    CREATE TABLE docs (id bigserial PRIMARY KEY, client_id bigint REFERENCES clients);
    CREATE TABLE totals (n bigint NOT NULL, who text, whose text);
    CREATE FUNCTION count_docs() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO totals (n, who, whose) SELECT count(*), current_user, session_user FROM docs; RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER late AFTER INSERT ON docs DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION count_docs();
    INSERT INTO docs (client_id) SELECT id FROM clients;";

/// A trigger that tries to be somebody else, for a row that says so.
const LEAVE: &str = "
    CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.name = 'Leave' THEN PERFORM set_config('session_authorization', 'default', false); END IF;
        IF NEW.name = 'Role' THEN PERFORM set_config('role', 'none', false); END IF;
        RETURN NEW; END $$;
    CREATE TRIGGER leave BEFORE UPDATE ON clients FOR EACH ROW EXECUTE FUNCTION leave();";

#[tokio::test]
async fn owners_cannot_reach_what_keeps_them_in_their_role() {
    let bed = Bed::make().await;
    bed.tenant("paws", "schema").await;
    let own = bed.tenant("own", "database").await;
    let own = format!("app_{}_{}", bed.app, own["id"].as_str().expect("an id").replace('-', ""));
    for database in [format!("app_{}", bed.app), own] {
        let inside = bed.superuser(0, &database).await;
        let act = "sindico_act.as_owner(text)";
        inside.batch_execute(&format!("SELECT {}", act.replace("text", "'SELECT 1'"))).await.expect("there is one");
        inside.batch_execute(&format!("SET ROLE app_{}_owner", bed.app)).await.expect("a role");
        for loosened in ["SECURITY INVOKER", "OWNER TO sindico", "RENAME TO other"] {
            let error = inside.batch_execute(&format!("ALTER FUNCTION {act} {loosened}")).await.expect_err("refused");
            let said = error.as_db_error().expect("PostgreSQL says so").message().to_owned();
            assert_eq!(said, "permission denied for schema sindico_act", "{loosened}");
        }
    }
    bed.close().await;
}

#[tokio::test]
async fn what_is_put_off_to_the_end_is_done_by_the_tenant_that_caused_it() {
    let bed = Bed::make().await;
    let mut clients = Vec::new();
    for (slug, isolation) in [("a", "shared"), ("b", "shared"), ("c", "schema"), ("d", "database")] {
        let made = bed.tenant(slug, isolation).await;
        let hex = made["id"].as_str().expect("an id").replace('-', "");
        clients.push((format!("t_{hex}"), enter(&made).await));
    }
    let done =
        apply(&bed, &with(&bed, &[("0005_late", LATE), ("0006_more", "INSERT INTO docs DEFAULT VALUES")]), json!({}))
            .await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
    for (role, client) in &clients {
        let written = rows(client, "SELECT DISTINCT who || ' ' || whose FROM totals").await;
        assert_eq!(written, [format!("{role} {role}")]);
        assert_eq!(rows(client, "SELECT max(n) FROM totals").await, ["2"], "only its own were counted");
    }
    bed.close().await;
}

#[tokio::test]
async fn nobody_becomes_another_from_within_a_migration() {
    for (word, isolation) in [("Leave", "shared"), ("Role", "schema"), ("Leave", "database")] {
        let bed = Bed::make().await;
        let client = enter(&bed.tenant("paws", isolation).await).await;
        client.batch_execute(&format!("UPDATE clients SET name = '{word}'")).await.expect("its own row");
        let app = with(&bed, &[("0005_leave", LEAVE), ("0006_touch", "UPDATE clients SET notes = 'touched'")]);
        let halted = apply(&bed, &app, json!({})).await;
        assert_eq!(halted["state"], "failed", "{isolation}: {halted:#}");
        let error = halted["error"].to_string();
        assert!(error.contains("within security-definer function"), "{isolation}: {error}");
        bed.close().await;
    }
}

#[tokio::test]
async fn functions_of_the_app_are_not_taken_for_postgresqls() {
    let bed = Bed::make().await;
    for isolation in ALL {
        bed.tenant(&format!("paws-{isolation}"), isolation).await;
    }
    let shadow = "CREATE FUNCTION hashtextextended(a text, b integer) RETURNS bigint LANGUAGE plpgsql AS
                  $$ BEGIN RAISE EXCEPTION 'shadowed'; END $$;
                  CREATE FUNCTION obj_description(a oid, b text) RETURNS text LANGUAGE plpgsql AS
                  $$ BEGIN RAISE EXCEPTION 'shadowed'; END $$;";
    let mut more = vec![("0005_shadow", shadow)];
    assert_eq!(apply(&bed, &with(&bed, &more), json!({})).await["state"], "succeeded");
    more.push(("0006_next", LOYALTY));
    let done = apply(&bed, &with(&bed, &more), json!({})).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
    for isolation in ALL {
        bed.tenant(&format!("new-{isolation}"), isolation).await;
    }
    bed.close().await;
}

#[tokio::test]
async fn nobody_is_made_between_two_versions() {
    let bed = Bed::make().await;
    let client = enter(&bed.tenant("paws", "shared").await).await;
    client.batch_execute("INSERT INTO clients (name, phone) VALUES ('Zero', '1234567')").await.expect("used");
    let divide = "ALTER TABLE clients ADD COLUMN share int; UPDATE clients SET share = 1 / (length(name) - 4);";
    let app = with(&bed, &[("0005_loyalty", LOYALTY), ("0006_divide", divide)]);
    let halted = apply(&bed, &app, json!({})).await;
    assert!(halted["error"].to_string().contains("division by zero"), "{halted:#}");
    assert_eq!(rows(&client, "SELECT count(*) FROM cards").await, ["2"], "the first migration went through");
    for isolation in ["shared", "schema", "database"] {
        let body = json!({"slug": "early", "isolation": isolation});
        let (status, problem) = bed.call(Method::POST, "/tenants", Some(body)).await;
        assert_eq!(status, StatusCode::CONFLICT, "{problem:#}");
        assert!(problem["detail"].to_string().contains("between two versions"), "{problem:#}");
        let (status, _) = bed.call(Method::GET, "/tenants/early", None).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "it was undone");
    }
    client.batch_execute("UPDATE clients SET name = 'Nought' WHERE name = 'Zero'").await.expect("mended");
    assert_eq!(apply(&bed, &app, json!({})).await["state"], "succeeded");
    for isolation in ALL {
        let new = enter(&bed.tenant(&format!("new-{isolation}"), isolation).await).await;
        new.batch_execute("INSERT INTO clients (name, phone, share) VALUES ('Bia', '1234567', 3)")
            .await
            .expect(isolation);
    }
    let (_, begun) = bed.call(Method::POST, &format!("/apps/{}/migrations/verify", bed.app), None).await;
    assert_eq!(ended(&bed, &begun).await["steps"][0]["output"]["drifted"], json!([]));
    bed.close().await;
}

#[tokio::test]
async fn what_was_done_and_not_told_cannot_be_changed_any_more() {
    let bed = Bed::make().await;
    let made = bed.tenant("paws", "schema").await;
    bed.tenant("other", "schema").await;
    let app = with(&bed, &[("0005_more", "CREATE TABLE more (id int)")]);
    assert_eq!(apply(&bed, &app, json!({})).await["state"], "succeeded");
    // As if whoever did it had died before it was recorded, and the app were registered as it was.
    let control = bed.control().await;
    control
        .batch_execute(
            "UPDATE sindico.placements SET version = 4; UPDATE sindico.app_clusters SET version = 4, global_version = 4, release = 1;
             UPDATE sindico.apps SET release = 1",
        )
        .await
        .expect("forgotten");
    let changed = with(&bed, &[("0005_more", "CREATE TABLE more (id bigint)")]);
    let path = format!("/apps/{}/migrations", bed.app);
    let inside = bed.superuser(0, &format!("app_{}", bed.app)).await;
    // What one tenant has is enough.
    for others in [4, 5] {
        let stamped = ["sindico", "global"].map(|it| format!("COMMENT ON SCHEMA {it} IS 'sindico version {others}'"));
        inside.batch_execute(&stamped.join(";")).await.expect("stamped");
        control.batch_execute("UPDATE sindico.placements SET version = 4").await.expect("forgotten");
        let (status, problem) = bed.call(Method::POST, &path, Some(body(&changed, &json!({})))).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
        assert!(problem["detail"].to_string().contains("0005_more.sql has been changed"), "{problem:#}");
    }
    let done = apply(&bed, &app, json!({})).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
    let client = enter(&made).await;
    assert_eq!(rows(&client, "SELECT count(*) FROM more").await, ["0"]);
    bed.close().await;
}
