//! SQL of síndico's own, in one tenant's name, in every isolation.

use tenancy::{Parameter, ScopeError};
use tokio_postgres::types::Type;

use super::{admit, threshold};
use crate::bed::Bed;

const INSERT: &str = "INSERT INTO clients (name, email) VALUES ($1, $2)";
const NAMES: &str = "SELECT name FROM clients ORDER BY name";

fn client(name: &'static str) -> [Parameter<'static>; 2] {
    [(Box::leak(Box::new(name)), Type::TEXT), (&"same@example.org", Type::TEXT)]
}

fn sqlstate(error: &ScopeError) -> Option<&str> {
    match error {
        ScopeError::Statement(error) => error.code().map(tokio_postgres::error::SqlState::code),
        _ => None,
    }
}

#[tokio::test]
async fn a_scope_is_one_tenants_in_every_isolation() {
    let bed = Bed::make().await;
    // As few connections as can be: in shared, every tenant gets the same one.
    let threshold = threshold(&bed, 1);
    for isolation in ["shared", "schema", "database", "cluster"] {
        let one = admit(&threshold, &bed.tenant(&format!("{isolation}-one"), isolation).await);
        let two = admit(&threshold, &bed.tenant(&format!("{isolation}-two"), isolation).await);
        let names = async |handle: &tenancy::TenantHandle| {
            let rows = handle.scope().query(NAMES, &[]).await.expect("rows");
            rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>()
        };
        assert_eq!(one.scope().execute(INSERT, &client("One")).await.expect("a row"), 1, "{isolation}");
        assert_eq!(two.scope().execute(INSERT, &client("Two")).await.expect("a row"), 1, "{isolation}");
        assert_eq!(names(&one).await, ["Ana Souza", "One"], "{isolation}");
        assert_eq!(names(&two).await, ["Ana Souza", "Two"], "{isolation}");

        // One statement is a transaction: what fails leaves nothing, and the scope goes on.
        let twice = one.scope().execute(INSERT, &client("One again")).await.expect_err("the same address");
        assert_eq!(sqlstate(&twice), Some("23505"), "{isolation}");

        let mut begun = one.scope().transaction().await.expect("begun");
        assert_eq!(begun.execute("UPDATE clients SET notes = 'kept'", &[]).await.expect("updated"), 2);
        begun.commit().await.expect("committed");
        let mut begun = two.scope().transaction().await.expect("begun");
        assert_eq!(begun.execute("DELETE FROM clients", &[]).await.expect("deleted"), 2, "{isolation}");
        assert_eq!(begun.query(NAMES, &[]).await.expect("rows").len(), 0);
        begun.rollback().await.expect("rolled back");
        let mut begun = two.scope().transaction().await.expect("begun");
        begun.execute("DELETE FROM clients", &[]).await.expect("deleted");
        drop(begun);
        let mut begun = two.scope().transaction().await.expect("begun");
        begun.query("SELECT 1 / 0", &[]).await.expect_err("a failure");
        assert!(matches!(begun.query(NAMES, &[]).await, Err(ScopeError::Broken)), "{isolation}");
        assert!(matches!(begun.commit().await, Err(ScopeError::Broken)), "{isolation}");
        assert_eq!(names(&two).await, ["Ana Souza", "Two"], "{isolation}");
        let kept = one.scope().query("SELECT count(*) FROM clients WHERE notes = 'kept'", &[]).await.expect("rows");
        assert_eq!(kept[0].get::<_, i64>(0), 2, "{isolation}");
    }
    bed.close().await;
}

#[tokio::test]
async fn a_reading_keys_scope_reads() {
    let bed = Bed::make().await;
    let threshold = threshold(&bed, 2);
    for isolation in ["shared", "schema", "database", "cluster"] {
        bed.tenant(&format!("{isolation}-r"), isolation).await;
        let body = serde_json::json!({"label": "reader", "access": "read_only"});
        let (_, key) = bed.call(reqwest::Method::POST, &format!("/tenants/{isolation}-r/keys"), Some(body)).await;
        let reader = admit(&threshold, &key);
        assert_eq!(reader.scope().query(NAMES, &[]).await.expect("rows").len(), 1, "{isolation}");
        for write in ["DELETE FROM clients", "UPDATE clients SET notes = 'x'"] {
            let refused = reader.scope().execute(write, &[]).await.expect_err("refused");
            assert!(matches!(sqlstate(&refused), Some("25006" | "42501")), "{isolation}: {refused}");
            let mut begun = reader.scope().transaction().await.expect("begun");
            let refused = begun.execute(write, &[]).await.expect_err("refused");
            assert!(matches!(sqlstate(&refused), Some("25006" | "42501")), "{isolation}: {refused}");
        }
    }
    bed.close().await;
}

/// Many at once over few connections: each sees its own rows, always.
#[tokio::test(flavor = "multi_thread")]
async fn many_tenants_take_turns_on_few_connections() {
    let bed = Bed::make().await;
    let threshold = threshold(&bed, 3);
    let mut turns = tokio::task::JoinSet::new();
    for number in 0..8 {
        let handle = admit(&threshold, &bed.tenant(&format!("t{number}"), "shared").await);
        turns.spawn(async move {
            let id = handle.tenant().as_uuid();
            for _ in 0..20 {
                let scope = handle.scope();
                let insert = "INSERT INTO clients (name, phone) VALUES ('x', '123456') RETURNING tenant_id";
                let made = scope.query(insert, &[]).await.expect("a row");
                assert_eq!(made[0].get::<_, uuid::Uuid>(0), id);
            }
            let seen = handle.scope().query("SELECT count(*), count(DISTINCT tenant_id) FROM clients", &[]).await;
            let seen = seen.expect("a row");
            assert_eq!((seen[0].get::<_, i64>(0), seen[0].get::<_, i64>(1)), (21, 1));
        });
    }
    while let Some(turn) = turns.join_next().await {
        turn.expect("a turn without a fault");
    }
    bed.close().await;
}
