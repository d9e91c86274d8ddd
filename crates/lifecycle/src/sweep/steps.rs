//! The operation: each thing of a report, one after the other, each looked at again before it goes.

use std::collections::{BTreeMap, BTreeSet};

use jobs::{Act, Fault, Procedure, Step, Work};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::remove::Deed;
use super::thing::{OrphanKind, Thing};
use crate::migrate::subject_named;
use crate::{Lifecycle, LifecycleError};

/// What the operation is called.
pub(crate) const SWEEP: &str = "sweep";

/// What stands for the installation where operations name what they change: one sweep at a time.
pub(super) fn subject() -> Uuid {
    subject_named("sindico sweep")
}

/// What the operation's journal has of it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) digest: String,
    pub(super) things: Vec<Thing>,
}

/// The one step.
pub(crate) fn sweeping(desk: &Lifecycle) -> Procedure {
    Procedure::reversible(vec![Box::new(Sweep(desk.clone()))])
}

struct Sweep(Lifecycle);

impl Step for Sweep {
    fn name(&self) -> &'static str {
        "sweep"
    }

    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            let Order { mut things, .. } = work.input()?;
            things.sort();
            self.0.sweep(work, things).await
        })
    }

    /// What nobody owned is not made again.
    fn undo<'a>(&'a self, _: &'a Work) -> Act<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

impl Lifecycle {
    async fn sweep(&self, work: &Work, things: Vec<Thing>) -> Result<Value, Fault> {
        let (there, unseen) = self.still_there(&things).await?;
        // Nobody logs in any more who would go on writing what is about to be removed.
        for role in things.iter().filter(|thing| thing.kind == OrphanKind::Role && there.contains(thing)) {
            work.holds().await?;
            if let Err(error @ LifecycleError::Jobs(_)) = self.dispose(work, role, Deed::Close).await {
                return Err(error.into());
            }
        }
        let total = things.len().try_into().unwrap_or(u64::MAX);
        let (mut removed, mut gone, mut left) = (Vec::new(), Vec::new(), Vec::new());
        for (done, thing) in (0_u64..).zip(things) {
            work.holds().await?;
            work.progress(done, total).await?;
            if let Some(why) = unseen.get(&thing.cluster) {
                left.push(told(&thing, Some(why)));
            } else if thing.kind != OrphanKind::Build && !there.contains(&thing) {
                gone.push(told(&thing, None));
            } else {
                self.probe.pass("sweep").map_err(Fault::from)?;
                match self.dispose(work, &thing, Deed::Remove).await {
                    Ok(None) => removed.push(told(&thing, None)),
                    Ok(Some(why)) => left.push(told(&thing, Some(&why))),
                    Err(error @ LifecycleError::Jobs(_)) => return Err(error.into()),
                    Err(error) => left.push(told(&thing, Some(&error.to_string()))),
                }
            }
        }
        work.progress(total, total).await?;
        Ok(json!({"removed": removed, "gone": gone, "left": left}))
    }

    /// What of it there is, and which clusters cannot be looked at.
    async fn still_there(&self, things: &[Thing]) -> Result<(BTreeSet<Thing>, BTreeMap<Uuid, String>), LifecycleError> {
        let known = self.catalog.ownership().await?;
        let (mut there, mut unseen) = (BTreeSet::new(), BTreeMap::new());
        let places: BTreeSet<Uuid> = things.iter().map(|thing| thing.cluster).collect();
        let clusters = self.catalog.clusters().await?;
        for place in places {
            let Some(cluster) = clusters.iter().find(|cluster| cluster.id == place) else {
                unseen.insert(place, "its cluster is not registered any more".to_owned());
                continue;
            };
            match self.survey(cluster, &known).await {
                Ok(seen) => there.extend(seen.things),
                Err(error) => drop(unseen.insert(place, error.to_string())),
            }
        }
        Ok((there, unseen))
    }
}

/// For the journal.
fn told(thing: &Thing, why: Option<&String>) -> Value {
    let mut told = json!({"kind": thing.kind, "database": thing.database, "name": thing.name, "tenant": thing.tenant});
    if let Some(why) = why {
        told["why"] = json!(why);
    }
    told
}
