//! Every attack, in every isolation, through every door.

use audit::{Progress, Report, Target};
use tokio::sync::watch;

use crate::bed::Bed;

/// What an audit of a whole installation says.
pub(crate) async fn audit(bed: &Bed) -> Report {
    let (progress, _seen) = watch::channel(Progress::default());
    bed.auditor().run(&Target::default(), progress).await.expect("an audit")
}

#[tokio::test]
async fn no_attack_leaves_its_tenant() {
    let bed = Bed::make().await;
    let report = audit(&bed).await;
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
    bed.close().await;
}
