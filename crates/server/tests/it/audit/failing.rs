//! A suite that cannot fail proves nothing: on installations that are open, it says so.

use audit::{Progress, Report, Target, Weight};
use domain::Isolation;
use tokio::sync::watch;

use crate::bed::Bed;

/// What an audit of one isolation says after a change by hand.
async fn after(change: &str, isolation: Isolation, families: &[u8]) -> Report {
    let bed = Bed::make().await;
    bed.tenant("bystander", isolation.as_str()).await;
    let session = bed.superuser(0, &format!("app_{}", bed.app)).await;
    session.batch_execute(&change.replace("{app}", bed.app.as_str())).await.expect("changed");
    let target = Target { tenant: Some("bystander".parse().expect("a slug")), families: families.to_vec() };
    let (progress, _seen) = watch::channel(Progress::default());
    let report = bed.auditor().run(&target, progress).await.expect("an audit");
    assert!(report.tallies.iter().all(|tally| tally.isolation == isolation), "{:#?}", report.tallies);
    assert!(!report.is_clean());
    // Only the bystander is left.
    let (_, tenants) = bed.call(reqwest::Method::GET, "/tenants", None).await;
    assert_eq!(tenants["items"].as_array().map(Vec::len), Some(1), "{tenants:#}");
    bed.close().await;
    report
}

fn escaped(report: &Report, titles: &[&str]) {
    for title in titles {
        let reported = |it: &audit::Incident| it.weight == Weight::Escape && it.attack == *title;
        assert!(report.incidents.iter().any(reported), "{title}: {:#?}", report.tallies);
    }
}

fn found(report: &Report, rule: &str) {
    assert!(report.findings.iter().any(|finding| finding.rule == rule), "{rule}: {:#?}", report.findings);
}

#[tokio::test]
async fn a_permissive_policy_lets_tenants_escape() {
    let open = "
        DO $$DECLARE t regclass; BEGIN
            FOR t IN SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' LOOP
                EXECUTE format('CREATE POLICY open ON %s USING (true)', t);
            END LOOP; END$$";
    let report = after(open, Isolation::Shared, &[3, 21]).await;
    assert!(report.not_run.is_empty(), "{:#?}", report.not_run);
    escaped(&report, &["the plain truth", "query_to_xml", "joins of every kind", "the victim's rows changed"]);
    found(&report, "policies");
}

#[tokio::test]
async fn schemas_that_are_open_to_each_other_let_tenants_escape() {
    let open = "
        ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO app_{app}_schema;
        ALTER DEFAULT PRIVILEGES FOR ROLE app_{app}_owner GRANT SELECT ON TABLES TO app_{app}_schema";
    let report = after(open, Isolation::Schema, &[3, 21]).await;
    assert!(report.not_run.is_empty(), "{:#?}", report.not_run);
    escaped(&report, &["the plain truth", "query_to_xml", "COPY of the table"]);
    found(&report, "default_privileges");
}

/// Tenants are not even made where row-level security is off, or where they would own the tables. The audit says so, and
/// what is wrong.
#[tokio::test]
async fn an_installation_too_open_for_tenants_is_named() {
    for (open, rule) in [
        ("ALTER TABLE clients NO FORCE ROW LEVEL SECURITY", "row_security"),
        ("GRANT app_{app}_owner TO app_{app}_shared_rw", "memberships"),
    ] {
        let report = after(open, Isolation::Shared, &[6]).await;
        assert_eq!(report.not_run.len(), 1, "{:#?}", report.not_run);
        found(&report, rule);
    }
}
