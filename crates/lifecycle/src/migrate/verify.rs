//! Looking whether tenants' tables are what their versions have.

use std::collections::hash_map::Entry as MapEntry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use catalog::{Entry, Shape, ShapeKind};
use domain::{AppName, Isolation};
use jobs::{Act, Fault, JobsError, NewOperation, Procedure, Step, Work};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::subject;
use super::unit::kind_of;
use crate::operations::{joined, left};
use crate::server::Session;
use crate::{Lifecycle, LifecycleError, shape, stamp};

/// What the operation is called.
pub(crate) const VERIFY: &str = "verify";

/// So many tenants at a time.
const PARALLEL: usize = 4;

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    app: String,
}

/// The one step.
pub(crate) fn verification(desk: &Lifecycle) -> Procedure {
    Procedure::reversible(vec![Box::new(Look(desk.clone()))])
}

struct Look(Lifecycle);

type Shapes = HashMap<(Uuid, i32, ShapeKind), Option<Shape>>;

impl Lifecycle {
    /// Has every tenant's tables compared with what its version has. What comes of it is in [`Lifecycle::migration_overview`].
    pub async fn begin_verification(&self, app: &AppName) -> Result<Uuid, LifecycleError> {
        self.app(app).await?;
        let input = json!(Order { app: app.to_string() });
        let operation = NewOperation { kind: VERIFY, subject: subject(app), title: app.as_str(), input, priority: 0 };
        self.start(operation, verification(self)).await
    }

    async fn look(&self, app: &AppName, work: &Work) -> Result<Value, Fault> {
        let ledger = self.catalog.ledger(app, None).await.map_err(LifecycleError::from)?;
        let entries: VecDeque<Entry> =
            ledger.into_iter().filter(|entry| entry.present && entry.status.is_settled()).collect();
        let shapes = Arc::new(self.shapes(app, &entries).await?);
        let total = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        let queue = Arc::new(Mutex::new(entries));
        let mut lookers = JoinSet::new();
        for _ in 0..PARALLEL {
            let looker = Looker {
                desk: self.clone(),
                shapes: Arc::clone(&shapes),
                queue: Arc::clone(&queue),
                session: None,
                shared: HashMap::new(),
                drifted: Vec::new(),
            };
            lookers.spawn(looker.look());
        }
        let far = || (total.saturating_sub(left(&queue)), total);
        let mut drifted = joined(lookers, work, far).await?.concat();
        drifted.sort();
        Ok(json!({"tenants": total, "drifted": drifted}))
    }

    async fn shapes(&self, app: &AppName, entries: &VecDeque<Entry>) -> Result<Shapes, LifecycleError> {
        let mut shapes = Shapes::new();
        for Entry { placement, version, .. } in entries {
            let place = (placement.cluster, *version, kind_of(placement.isolation));
            if let MapEntry::Vacant(unknown) = shapes.entry(place) {
                unknown.insert(self.catalog.shape(app, place.0, place.1, place.2).await?);
            }
        }
        Ok(shapes)
    }
}

impl Step for Look {
    fn name(&self) -> &'static str {
        "verify"
    }

    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            let Order { app } = work.input()?;
            let app: AppName =
                app.parse().map_err(|_| Fault::Lasting(Box::new(JobsError::Unreadable("operation's input"))))?;
            self.0.look(&app, work).await
        })
    }

    fn undo<'a>(&'a self, _: &'a Work) -> Act<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

struct Looker {
    desk: Lifecycle,
    shapes: Arc<Shapes>,
    queue: Arc<Mutex<VecDeque<Entry>>>,
    /// In a database that many tenants have in common.
    session: Option<(Uuid, Session)>,
    /// Tables that are shared are looked at once.
    shared: HashMap<Uuid, (String, Option<String>)>,
    drifted: Vec<String>,
}

impl Looker {
    async fn look(mut self) -> Result<Vec<String>, LifecycleError> {
        loop {
            let next = self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(entry) = next else { return Ok(self.drifted) };
            let (fingerprint, drift) = match self.see(&entry).await {
                Ok(seen) => seen,
                Err(error) => (String::new(), Some(format!("it could not be looked at: {error}"))),
            };
            if drift.is_some() {
                self.drifted.push(entry.slug.to_string());
            }
            self.desk.catalog.set_seen(entry.tenant, &fingerprint, drift.as_deref()).await?;
        }
    }

    async fn see(&mut self, entry: &Entry) -> Result<(String, Option<String>), LifecycleError> {
        let placement = &entry.placement;
        let shared = placement.isolation == Isolation::Shared;
        if shared && let Some(seen) = self.shared.get(&placement.cluster) {
            return Ok(seen.clone());
        }
        let own;
        let session = if placement.isolation.has_own_database() {
            own = self.desk.admin(placement.cluster, Some(&placement.database)).await?;
            &own
        } else {
            if self
                .session
                .as_ref()
                .is_none_or(|(cluster, session)| *cluster != placement.cluster || session.is_closed())
            {
                let session = self.desk.admin(placement.cluster, Some(&placement.database)).await?;
                self.session = Some((placement.cluster, session));
            }
            let Some((_, session)) = &self.session else { return Err(LifecycleError::CutOff) };
            session
        };
        let found = shape::of_schema(session, &placement.schema).await?;
        let stamped = if shared {
            stamp::read(session, stamp::WHOLE).await?
        } else {
            stamp::read(session, &stamp::of_tenant(entry.tenant, placement)).await?
        };
        let place = (placement.cluster, entry.version, kind_of(placement.isolation));
        let drift = match (stamped, self.shapes.get(&place).and_then(Option::as_ref)) {
            (stamp::Stamp::Version(version), _) if version != entry.version => Some(format!(
                "its tables are stamped with version {version}, and the records have {}; apply the migration again",
                entry.version
            )),
            (_, Some(expected)) => shape::difference(expected, &found),
            // Its version is from before such things were recorded.
            (_, None) => None,
        };
        let seen = (found.fingerprint, drift);
        if shared {
            self.shared.insert(placement.cluster, seen.clone());
        }
        Ok(seen)
    }
}
