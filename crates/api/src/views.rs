//! `/tenants/{tenant}/views`: views of one tenant's rows of shared tables, for tools that cannot log in as the tenant.

use lifecycle::TenantViews;
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) mod drop;
pub(crate) mod get;
pub(crate) mod put;

/// A tenant's views.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ViewsView {
    /// Name of the cluster.
    #[schema(example = "main")]
    cluster: String,
    /// The database on it.
    #[schema(example = "app_petshop")]
    database: String,
    /// The schema that the views are in.
    schema: String,
    /// The role whose members may read them.
    #[schema(example = "app_petshop_reports")]
    readers: String,
    /// Their names, which are those of the app's tables and views.
    views: Vec<String>,
    /// Views of the app's that could not be made; told when views are made.
    left_out: Vec<LeftOut>,
}

/// A view of the app's that the tenant's views lack.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LeftOut {
    /// Its name.
    view: String,
    /// What PostgreSQL said.
    reason: String,
}

impl From<TenantViews> for ViewsView {
    fn from(made: TenantViews) -> Self {
        Self {
            cluster: made.tenant.cluster.to_string(),
            database: made.tenant.placement.database,
            schema: made.schema,
            readers: made.readers,
            views: made.views,
            left_out: made.left_out.into_iter().map(|(view, reason)| LeftOut { view, reason }).collect(),
        }
    }
}
