//! Collecting what tenants use: of all of them as an operation, of one for somebody who waits.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use catalog::{Metered, TenantRef};
use domain::TenantId;
use jobs::{Act, Fault, Procedure, Step, Work};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::task::JoinSet;
use tracing::warn;
use uuid::Uuid;

use super::Usage;
use super::measure::measure;
use crate::operations::{joined, left};
use crate::{Lifecycle, LifecycleError};

/// What the operation is called.
pub(crate) const USAGE: &str = "usage";

/// So many databases at a time, a session each.
const PARALLEL: usize = 4;

/// A database with all of its tenants.
type Place = ((Uuid, String), Vec<Metered>);

/// The one step.
pub(crate) fn collection(desk: &Lifecycle) -> Procedure {
    Procedure::reversible(vec![Box::new(Collect(desk.clone()))])
}

struct Collect(Lifecycle);

impl Step for Collect {
    fn name(&self) -> &'static str {
        "collect"
    }

    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move { self.0.collect(work).await })
    }

    /// Samples are true, whatever becomes of the others.
    fn undo<'a>(&'a self, _: &'a Work) -> Act<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// What some places have given.
#[derive(Default)]
struct Gathered {
    tenants: usize,
    missing: usize,
    first: Option<String>,
}

impl Lifecycle {
    /// Collects what one tenant uses now, of what other processes have counted as of their last minute.
    pub async fn collect_usage(&self, which: TenantRef) -> Result<Usage, LifecycleError> {
        let tenant = self.find(&which).await?.id;
        let desk = self.clone();
        self.through(Box::pin(async move {
            let found = desk.find_changeable(tenant).await?;
            desk.report_usage().await?;
            let taken_at = desk.catalog.now().await?;
            // Of shared tables it is everybody that a part is a part of.
            let tenants = desk.catalog.metered(Some(&found.placement)).await?;
            let place = ((found.placement.cluster, found.placement.database), tenants);
            desk.sample(&place, Some(tenant), taken_at).await
        }))
        .await?;
        self.usage(&TenantRef::Id(tenant)).await
    }

    async fn collect(&self, work: &Work) -> Result<Value, Fault> {
        self.report_usage().await?;
        let taken_at = self.catalog.now().await.map_err(LifecycleError::from)?;
        let mut places: BTreeMap<(Uuid, String), Vec<Metered>> = BTreeMap::new();
        for it in self.catalog.metered(None).await.map_err(LifecycleError::from)? {
            places.entry((it.placement.cluster, it.placement.database.clone())).or_default().push(it);
        }
        let total = u64::try_from(places.len()).unwrap_or(u64::MAX);
        let queue: Arc<Mutex<VecDeque<Place>>> = Arc::new(Mutex::new(places.into_iter().collect()));
        let mut collectors = JoinSet::new();
        for _ in 0..PARALLEL {
            collectors.spawn(self.clone().collect_from(Arc::clone(&queue), taken_at));
        }
        let far = || (total.saturating_sub(left(&queue)), total);
        let mut all = Gathered::default();
        joined(collectors, work, far).await?.into_iter().for_each(|gathered| all.add(gathered));
        let Gathered { tenants, missing, first } = all;
        match first {
            None => Ok(json!({"tenants": tenants, "databases": total})),
            Some(first) => Err(LifecycleError::Uncollected { missing, total: tenants, first }.into()),
        }
    }

    async fn collect_from(
        self,
        queue: Arc<Mutex<VecDeque<Place>>>,
        taken_at: OffsetDateTime,
    ) -> Result<Gathered, LifecycleError> {
        let mut gathered = Gathered::default();
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(place) = next else { return Ok(gathered) };
            let tenants = place.1.iter().filter(|it| !it.spare).count();
            gathered.tenants += tenants;
            match self.sample(&place, None, taken_at).await {
                Ok(()) => {}
                Err(LifecycleError::Catalog(error)) => return Err(error.into()),
                // One server that is away leaves the others to be looked at.
                Err(error) => {
                    let (cluster, database) = place.0;
                    // Its only tenant may have been removed meanwhile, and the database with it.
                    if self.catalog.metered(None).await?.iter().all(|it| it.placement.database != database) {
                        continue;
                    }
                    warn!(%cluster, database, %error, "what tenants use could not be collected");
                    gathered.missing += tenants;
                    gathered.first.get_or_insert_with(|| format!("database {database}: {error}"));
                }
            }
        }
    }

    /// Takes the samples of one database.
    async fn sample(
        &self,
        ((cluster, database), tenants): &Place,
        of: Option<TenantId>,
        taken_at: OffsetDateTime,
    ) -> Result<(), LifecycleError> {
        let session = self.admin(*cluster, Some(database)).await?;
        let samples = measure(&session, tenants, of).await?;
        drop(session);
        Ok(self.catalog.put_samples(taken_at, &samples).await?)
    }
}

impl Gathered {
    fn add(&mut self, other: Self) {
        self.tenants += other.tenants;
        self.missing += other.missing;
        self.first = self.first.take().or(other.first);
    }
}
