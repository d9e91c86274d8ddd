//! The report: what nobody owns at the moment, under a digest that names just this.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest::{Context, SHA256};
use catalog::{Cluster, Ownership};
use data_encoding::HEXLOWER;
use domain::AppName;
use jobs::NewOperation;
use serde_json::json;
use uuid::Uuid;

use super::steps::{Order, SWEEP, subject, sweeping};
use super::thing::{OrphanKind, Thing, Verdict};
use crate::{Lifecycle, LifecycleError};

/// Something that nobody owns.
#[derive(Debug, Clone)]
pub struct Orphan {
    /// What it is.
    pub kind: OrphanKind,
    /// The cluster's name.
    pub cluster: String,
    /// The database that it is in, unless it is the server's.
    pub database: Option<String>,
    /// Its name; of rows, the table's.
    pub name: String,
    /// Whose it was, by its name or its rows.
    pub tenant: Option<Uuid>,
    /// Of which app, as far as that can be told.
    pub app: Option<AppName>,
    /// Of a database, how many bytes it takes.
    pub bytes: Option<i64>,
    /// Why it is an orphan.
    pub why: String,
}

/// What could not be judged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unseen {
    /// What.
    pub what: String,
    /// Why not.
    pub why: String,
    /// Somebody is at it, so it is not known yet who owns it.
    pub busy: bool,
}

/// A report.
#[derive(Debug, Clone)]
pub struct Orphans {
    /// SHA-256 of what is in it, in hexadecimal digits.
    pub digest: String,
    /// All of them, in the order in which they would be removed.
    pub items: Vec<Orphan>,
    /// What could not be judged.
    pub unseen: Vec<Unseen>,
    things: Vec<Thing>,
}

impl Lifecycle {
    /// What nobody owns on any cluster, but for what is named: by its own name, by its database or by a tenant's id.
    pub async fn orphans(&self, exclude: Vec<String>) -> Result<Orphans, LifecycleError> {
        let desk = self.clone();
        self.through(Box::pin(async move { desk.look_for_orphans(&exclude).await })).await
    }

    /// Has what a report shows removed, if just that is still found. Returns the operation.
    pub async fn begin_sweep(&self, digest: &str, exclude: Vec<String>) -> Result<Uuid, LifecycleError> {
        let found = self.orphans(exclude).await?;
        if found.digest != digest {
            return Err(LifecycleError::OtherOrphans(digest.to_owned()));
        }
        let order = json!(Order { digest: found.digest, things: found.things });
        let operation = NewOperation { kind: SWEEP, subject: subject(), title: "orphans", input: order, priority: 0 };
        self.start(operation, sweeping(self)).await
    }

    async fn look_for_orphans(&self, exclude: &[String]) -> Result<Orphans, LifecycleError> {
        let before = self.catalog.ownership().await?;
        let clusters: BTreeMap<Uuid, Cluster> =
            self.catalog.clusters().await?.into_iter().map(|cluster| (cluster.id, cluster)).collect();
        let mut unseen = BTreeSet::new();
        let mut found = BTreeSet::new();
        for cluster in clusters.values() {
            if cluster.ready {
                found.extend(self.seen_on(cluster, &before, &mut unseen).await);
            } else {
                let why = "it is being registered".to_owned();
                unseen.insert(Unseen { what: format!("cluster {}", cluster.name), why, busy: true });
            }
        }
        let after = self.catalog.ownership().await?;
        found.retain(|thing| {
            let verdicts = [&before, &after].map(|ownership| thing.judge(ownership));
            let busy = verdicts.iter().find_map(|verdict| match verdict {
                Verdict::Busy(why) => Some(why.clone()),
                _ => None,
            });
            if let Some(why) = busy {
                let what = thing.app.as_ref().map_or_else(|| thing.name.clone(), |app| format!("app {app}"));
                unseen.insert(Unseen { what, why, busy: true });
                return false;
            }
            verdicts.iter().all(|verdict| matches!(verdict, Verdict::Orphan(_))) && !thing.is_among(exclude)
        });
        // What was removed meanwhile was so before its record went.
        let places: BTreeSet<Uuid> = found.iter().map(|thing| thing.cluster).collect();
        let mut still = BTreeSet::new();
        for cluster in places.iter().filter_map(|id| clusters.get(id)) {
            still.extend(self.seen_on(cluster, &after, &mut unseen).await);
        }
        let things: Vec<Thing> = found.into_iter().filter(|thing| still.contains(thing)).collect();
        let mut items = Vec::new();
        for thing in &things {
            let Verdict::Orphan(why) = thing.judge(&after) else { continue };
            items.push(Orphan {
                kind: thing.kind,
                cluster: clusters.get(&thing.cluster).map(|cluster| cluster.name.to_string()).unwrap_or_default(),
                database: thing.database.clone(),
                name: thing.name.clone(),
                tenant: thing.tenant.map(domain::TenantId::as_uuid),
                app: thing.app.clone(),
                bytes: None,
                why,
            });
        }
        self.measure(&things, &mut items).await;
        Ok(Orphans { digest: digest(&things), items, unseen: unseen.into_iter().collect(), things })
    }

    /// One cluster that does not answer keeps nobody from looking at the others.
    async fn seen_on(&self, cluster: &Cluster, known: &Ownership, unseen: &mut BTreeSet<Unseen>) -> BTreeSet<Thing> {
        match self.survey(cluster, known).await {
            Ok(seen) => {
                let place = |what| format!("{what} on cluster {}", cluster.name);
                unseen.extend(seen.unseen.into_iter().map(|(what, why)| Unseen {
                    what: place(what),
                    why,
                    busy: false,
                }));
                unseen.extend(seen.busy.into_iter().map(|why| Unseen { what: "a build".to_owned(), why, busy: true }));
                seen.things
            }
            Err(error) => {
                let what = format!("cluster {}", cluster.name);
                unseen.insert(Unseen { what, why: error.to_string(), busy: false });
                BTreeSet::new()
            }
        }
    }

    /// How large databases are, where that can be told.
    async fn measure(&self, things: &[Thing], items: &mut [Orphan]) {
        let mut session: Option<(Uuid, crate::server::Session)> = None;
        for (thing, item) in things.iter().zip(items) {
            if !matches!(thing.kind, OrphanKind::Database | OrphanKind::Build | OrphanKind::AppDatabase) {
                continue;
            }
            if session.as_ref().is_none_or(|(cluster, _)| *cluster != thing.cluster) {
                session = self.admin(thing.cluster, None).await.ok().map(|opened| (thing.cluster, opened));
            }
            if let Some((_, server)) = &session {
                let sql = "SELECT pg_database_size(oid) FROM pg_database WHERE datname = $1";
                let row = server.query_opt(sql, &[&thing.name]).await.ok().flatten();
                item.bytes = row.and_then(|row| row.try_get(0).ok());
            }
        }
    }
}

/// SHA-256 over all of them in order, with lengths.
fn digest(things: &[Thing]) -> String {
    let mut hash = Context::new(&SHA256);
    let mut part = |text: &str| {
        hash.update(&text.len().to_be_bytes());
        hash.update(text.as_bytes());
    };
    for Thing { kind, cluster, database, name, tenant, .. } in things {
        part(kind.as_str());
        part(&cluster.to_string());
        part(database.as_deref().unwrap_or_default());
        part(name);
        part(&tenant.map(|tenant| tenant.to_string()).unwrap_or_default());
    }
    HEXLOWER.encode(hash.finish().as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_names_each_of_them() {
        let thing = |database: Option<&str>, name: &str| Thing {
            kind: OrphanKind::Rows,
            cluster: Uuid::nil(),
            database: database.map(str::to_owned),
            name: name.to_owned(),
            tenant: None,
            app: None,
        };
        let all = [
            digest(&[]),
            digest(&[thing(Some("a"), "b")]),
            digest(&[thing(None, "ab")]),
            digest(&[thing(Some("a"), "b"), thing(None, "ab")]),
        ];
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 4);
        assert_eq!(digest(&[]), digest(&[]));
    }
}
