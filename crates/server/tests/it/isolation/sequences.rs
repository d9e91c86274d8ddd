//! Numbers that tenants draw.

use super::ALL;
use crate::bed::{Bed, enter, rows, sqlstate};

#[tokio::test]
async fn every_tenant_counts_from_one_and_for_itself() {
    let bed = Bed::make().await;
    for isolation in ALL {
        let (one, two) = (
            bed.tenant(&format!("{isolation}-a"), isolation).await,
            bed.tenant(&format!("{isolation}-b"), isolation).await,
        );
        let (one, two) = (enter(&one).await, enter(&two).await);
        let insert = "INSERT INTO clients (name, phone) VALUES ('x', '123456') RETURNING id";
        // The seed has drawn the first.
        for expected in ["2", "3", "4"] {
            assert_eq!(rows(&one, insert).await, [expected], "{isolation}");
        }
        assert_eq!(rows(&two, insert).await, ["2"], "{isolation}: numbers tell of other tenants");
        assert_eq!(rows(&one, "SELECT currval('clients_id_seq'), lastval()").await, ["4,4"], "{isolation}");
        assert_eq!(rows(&one, "SELECT setval('clients_id_seq', 100)").await, ["100"], "{isolation}");
        assert_eq!(rows(&one, "SELECT nextval('clients_id_seq')").await, ["101"], "{isolation}");
        assert_eq!(rows(&one, insert).await, ["102"], "{isolation}");
        assert_eq!(rows(&two, insert).await, ["3"], "{isolation}: another tenant's setval counts");
        assert_eq!(sqlstate(&one, "SELECT nextval('nothing')").await, "42P01", "{isolation}");
    }
    bed.close().await;
}

#[tokio::test]
async fn nobody_reaches_another_tenants_sequences() {
    let bed = Bed::make().await;
    let (one, two) = (bed.tenant("one", "shared").await, bed.tenant("two", "shared").await);
    let hex = two["id"].as_str().expect("an id").replace('-', "");
    let session = enter(&one).await;
    for attempt in [
        format!("SELECT nextval('s_{hex}.clients_id_seq')"),
        format!("SELECT setval('s_{hex}.clients_id_seq', 1)"),
        format!("SELECT last_value FROM s_{hex}.clients_id_seq"),
        format!("DROP SCHEMA s_{hex} CASCADE"),
    ] {
        assert_eq!(sqlstate(&session, &attempt).await, "42501", "{attempt}");
    }
    // The function takes a sequence's name and nothing that leads elsewhere.
    for name in [&format!("s_{hex}.clients_id_seq"), "clients_id_seq\".\"x", "", "clients_id_seq; DROP TABLE clients"] {
        let attempt = format!("SELECT sindico.next_value($x${name}$x$)");
        assert_eq!(sqlstate(&session, &attempt).await, "42P01", "{attempt}");
    }
    let last = "SELECT coalesce(pg_sequence_last_value('clients_id_seq'), 0)";
    assert_eq!(rows(&enter(&two).await, last).await, ["1"], "only its own seed has drawn");
    bed.close().await;
}
