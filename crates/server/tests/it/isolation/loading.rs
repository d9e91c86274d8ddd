//! Rows of a dump do not fire the triggers that the dump creates after them; rows of clients always do.

use reqwest::Method;

use super::ALL;
use crate::api::operator;
use crate::apps::body;
use crate::bed::{Bed, Options, enter, rows, sqlstate};

const DUMP: &str = "
    CREATE TABLE notes (id int PRIMARY KEY, body text);
    CREATE TABLE log (at serial PRIMARY KEY, what text);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO log (what) VALUES (NEW.body); RETURN NEW; END $$;
    INSERT INTO notes VALUES (1, 'dumped');
    CREATE TRIGGER noted BEFORE INSERT ON notes FOR EACH ROW WHEN (NEW.id > 0) EXECUTE FUNCTION note();
";

#[tokio::test]
async fn only_sindico_loads_rows_past_triggers() {
    let bed = Bed::bare(Options::default()).await;
    let files = [("migrations/1.sql", DUMP), ("seed/1.sql", "INSERT INTO notes VALUES (2, 'seeded');")];
    let made = operator(&bed, Method::POST, "/apps", Some(body(&bed.app, &files))).await;
    assert_eq!(made.status, 201, "{made:#?}");
    for isolation in ALL {
        for which in ["one", "two"] {
            let client = enter(&bed.tenant(&format!("{isolation}-{which}"), isolation).await).await;
            let log = "SELECT what FROM log ORDER BY at";
            assert_eq!(rows(&client, "SELECT body FROM notes ORDER BY id").await, ["dumped", "seeded"], "{isolation}");
            assert_eq!(rows(&client, log).await, ["seeded"], "{isolation}");
            client
                .batch_execute("BEGIN; SET sindico.loading = '0'; INSERT INTO notes VALUES (3, 'forged'); COMMIT")
                .await
                .expect("a row");
            assert_eq!(rows(&client, log).await, ["seeded", "forged"], "{isolation}: a setting is no admission");
            let admit = "INSERT INTO sindico.loading (role, pid) VALUES (session_user, pg_backend_pid())";
            assert_eq!(sqlstate(&client, admit).await, "42501", "{isolation}");
            assert_eq!(rows(&client, "SELECT count(*) FROM sindico.loading").await, ["0"], "{isolation}");
        }
    }
    bed.close().await;
}
