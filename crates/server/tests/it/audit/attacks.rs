//! Every attack, in every isolation, through every door.

use audit::{Progress, Report, Target};
use catalog::TenantRef;
use tokio::sync::watch;

use crate::bed::{Bed, Options, app};

/// What an audit of a whole installation says.
pub(crate) async fn audit(bed: &Bed) -> Report {
    let (progress, _seen) = watch::channel(Progress::default());
    bed.auditor().run(&Target::default(), progress).await.expect("an audit")
}

#[tokio::test]
async fn no_attack_leaves_its_tenant() {
    let bed = Bed::make().await;
    let report = audit(&bed).await;
    expect_tight(&report);
    bed.close().await;
}

/// An app with functions, views, types and triggers, where a tenant has a schema of its own beside another's.
#[tokio::test]
async fn functions_and_views_lead_to_no_other_schema() {
    attack_app("camara", "schema").await;
}

/// An app with partitions, ranges and keys that are no numbers, where tenants share its tables.
#[tokio::test]
async fn partitions_and_keys_tell_nothing_of_other_rows() {
    attack_app("vms", "shared").await;
}

async fn attack_app(name: &str, isolation: &str) {
    let bed = Bed::bare(Options::default()).await;
    bed.lifecycle().add_app(app(name, &bed.app)).await.expect("the app registers");
    bed.tenant("one", isolation).await;
    let (progress, _seen) = watch::channel(Progress::default());
    let target = Target { tenant: Some(TenantRef::Slug("one".parse().expect("a slug"))), families: Vec::new() };
    let report = bed.auditor().run(&target, progress).await.expect("an audit");
    expect_tight(&report);
    bed.close().await;
}

fn expect_tight(report: &Report) {
    for incident in &report.incidents {
        println!(
            "{:?} {} [{} {}] {} ({})\n      {}",
            incident.weight,
            incident.family,
            incident.isolation,
            incident.door.as_str(),
            incident.attack,
            incident.source,
            incident.what
        );
    }
    for tally in &report.tallies {
        println!("{tally:?}");
    }
    println!("{:?} {}s", report.not_run, report.seconds);
    assert!(report.incidents.is_empty(), "{} incidents", report.incidents.len());
    assert!(report.not_run.is_empty(), "{:#?}", report.not_run);
}
