//! The rules by which a tenant's statements are read before they reach a server.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use catalog::{Catalog, CatalogError};
use domain::{AppName, Isolation, TenantId};
use tenantize::client::Rules;
use tenantize::{Sources, SqlFile};
use tokio::sync::OnceCell;
use tokio::task::{JoinError, spawn_blocking};
use tracing::error;

use crate::{Refusal, TenantHandle};

/// What a door needs to read a tenant's statements.
#[derive(Clone)]
pub struct ClientRules {
    /// The tenant.
    pub tenant: TenantId,
    /// Its app.
    pub app: AppName,
    /// Its isolation.
    pub isolation: Isolation,
    /// How many of the app's migrations its tables have.
    pub version: i32,
    /// What holds for all of them. The same object for all tenants for as long as the rules are the same.
    pub rules: Arc<Rules>,
    /// The schema of the tenant's own tables.
    pub schema: String,
    /// The schema of the tenant's own sequences where it shares tables.
    pub sequences: String,
    /// What the names of the tenant's channels begin with on the server. A secret: whoever knows it can notify the
    /// tenant.
    pub channel_prefix: String,
}

impl fmt::Debug for ClientRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant, app, isolation, .. } = self;
        write!(f, "ClientRules({tenant}, {app}, {isolation})")
    }
}

impl TenantHandle {
    /// The rules for this tenant's statements; `None` where they run as they are. Reads the app's migrations once per version and
    /// process, since those that tables have never change.
    pub async fn client_rules(&self) -> Result<Option<ClientRules>, Refusal> {
        let route = self.newest();
        let placement = &route.placement;
        let threshold = self.threshold();
        let rules = threshold.shelf.rules(&threshold.catalog, &route.app, route.version, placement.isolation).await;
        let rules = rules.map_err(|error| {
            error!(app = %route.app, %error, "the app's rules for statements are not at hand");
            Refusal::NoRules(route.slug.clone())
        })?;
        Ok(rules.map(|rules| ClientRules {
            tenant: route.id,
            app: route.app.clone(),
            isolation: placement.isolation,
            version: route.version,
            rules,
            schema: placement.schema.clone(),
            sequences: route.id.sequence_schema(),
            channel_prefix: threshold.catalog.master().channel_prefix(placement.cluster, &route.app, route.id),
        }))
    }
}

/// The rules that have been asked for so far. Cheap to clone; all clones are the same shelf.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shelf {
    known: Arc<Mutex<HashMap<Of, Place>>>,
}

/// The app, how many of its migrations there are, and the isolation.
type Of = (AppName, i32, Isolation);

/// Filled by the first who asks, while the others wait.
type Place = Arc<OnceCell<Option<Arc<Rules>>>>;

/// Why an app's rules are not at hand. For the operator; a client is told to try again.
#[derive(Debug, thiserror::Error)]
enum RulesError {
    /// The control database did not give the app's files.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// They were accepted once; another version of síndico registered them.
    #[error("the app's files are not accepted any more: {0}; register the app anew")]
    Refused(#[from] tenantize::Refusals),
    /// Reading them ended in a panic.
    #[error("the app's files could not be read: {0}")]
    Broken(#[from] JoinError),
}

impl Shelf {
    async fn rules(
        &self,
        catalog: &Catalog,
        app: &AppName,
        version: i32,
        isolation: Isolation,
    ) -> Result<Option<Arc<Rules>>, RulesError> {
        let place = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry((app.clone(), version, isolation)).or_default())
        };
        let read = async {
            let files = catalog.version_files(app, version).await?;
            let migrations = files.into_iter().map(|file| SqlFile { name: file.path, text: file.content });
            let sources = Sources { migrations: migrations.collect(), seed: Vec::new() };
            let plan = spawn_blocking(move || tenantize::plan(&sources)).await??;
            Ok(Rules::new(&plan, isolation).map(Arc::new))
        };
        place.get_or_try_init(|| read).await.cloned()
    }
}
