//! `/apps/{app}/retention` and `/tenants/{tenant}/retention`: for how long rows are kept.

pub(crate) mod get;
pub(crate) mod put;
pub(crate) mod run;
pub(crate) mod show;

use catalog::RetentionLimit;
use serde::Serialize;
use utoipa::ToSchema;

/// For how long a tenant's rows of a table are kept.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LimitView {
    /// Which table.
    #[schema(example = "recordings")]
    table: String,
    /// The column that says from when a row is.
    #[schema(example = "started_at")]
    column: String,
    /// For how long it is kept.
    #[schema(value_type = String, example = "30 days")]
    keep: domain::Keep,
    /// For how long it is archived then, or `forever`; null if it is not.
    #[schema(value_type = Option<String>, example = "5 years")]
    archive: Option<domain::ArchiveFor>,
    /// Whether that is the tenant's own time, and not the app's.
    own: bool,
}

/// All of a tenant's.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LimitsView {
    items: Vec<LimitView>,
}

impl From<Vec<RetentionLimit>> for LimitsView {
    fn from(limits: Vec<RetentionLimit>) -> Self {
        let view = |RetentionLimit { rule, own }| LimitView {
            table: rule.table,
            column: rule.column,
            keep: rule.keep,
            archive: rule.archive,
            own,
        };
        Self { items: limits.into_iter().map(view).collect() }
    }
}
