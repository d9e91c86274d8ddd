//! Which problem each failure is: whose fault, and what of it the client may see.

use axum::http::StatusCode;
use catalog::CatalogError;
use lifecycle::{JobsError, LifecycleError};
use tenancy::Refusal;
use tracing::error;

use crate::operations::unknown;
use crate::problem::{Fault, Problem};
use crate::{members, schedules};

impl From<CatalogError> for Problem {
    fn from(failure: CatalogError) -> Self {
        let detail = failure.to_string();
        let conflict = |code, title| Self::new(StatusCode::CONFLICT, code, title, detail.clone());
        let unusable = |code, title| Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, title, detail.clone());
        match failure {
            CatalogError::SlugTaken(_) => conflict("SLUG_TAKEN", "Slug already taken").at("/slug"),
            CatalogError::AppTaken(_) => conflict("APP_TAKEN", "App already registered").at("/name"),
            CatalogError::AppUnknown(_) => unusable("APP_NOT_FOUND", "App not found").at("/app"),
            CatalogError::AppNotReady(_) => conflict("APP_NOT_READY", "App not ready"),
            CatalogError::ClusterUnknown(_) => unusable("CLUSTER_NOT_FOUND", "Cluster not found").at("/cluster"),
            CatalogError::ClusterUnfit { .. } => unusable("CLUSTER_UNFIT", "Cluster of the other kind").at("/cluster"),
            CatalogError::ClusterFull(_) => conflict("NO_CLUSTER_ROOM", "No cluster has room").at("/cluster"),
            CatalogError::NoRoom(_) => conflict("NO_CLUSTER_ROOM", "No cluster has room").at("/isolation"),
            CatalogError::Busy(_) => conflict("CHANGE_IN_PROGRESS", "Another change is under way"),
            CatalogError::Seal(_)
            | CatalogError::Unreadable { .. }
            | CatalogError::Database(_)
            | CatalogError::Migrate(_) => {
                // The installation's own affair: operators find it in the log, clients learn nothing of its inside.
                error!(error = %detail, "control database failed");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "CONTROL_DATABASE_UNAVAILABLE",
                    "Control database unavailable",
                    "síndico's control database failed; try again, and see síndico's log if it stays so",
                )
            }
        }
    }
}

impl From<LifecycleError> for Problem {
    fn from(failure: LifecycleError) -> Self {
        let detail = failure.to_string();
        let conflict = |code, title| Self::new(StatusCode::CONFLICT, code, title, detail.clone());
        let unusable = |code, title| Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, title, detail.clone());
        match failure {
            LifecycleError::Catalog(failure) => failure.into(),
            LifecycleError::UnknownTenant(name) => Self::tenant_not_found(&name),
            LifecycleError::WrongStatus { .. } => conflict("WRONG_STATUS", "Not possible in the tenant's status"),
            LifecycleError::NotInSchema { .. } | LifecycleError::NotShared { .. } => {
                conflict("WRONG_ISOLATION", "Not possible in the tenant's isolation")
            }
            LifecycleError::NoViews(_) => Self::new(StatusCode::NOT_FOUND, "VIEWS_NOT_FOUND", "No views", detail),
            LifecycleError::ViewsInUse { .. } => conflict("VIEWS_IN_USE", "Something depends on the views"),
            LifecycleError::SchemaExists(_) => conflict("SCHEMA_EXISTS", "Schema already exists"),
            LifecycleError::SchemaMissing(_) => {
                Self::new(StatusCode::NOT_FOUND, "SCHEMA_NOT_FOUND", "Schema not found", detail)
            }
            failure @ (LifecycleError::Refused(_) | LifecycleError::Statement { .. }) => of_sql(&failure, detail),
            LifecycleError::BadApp(_) => unusable("INVALID_APP", "The app's files are not usable").at("/files"),
            LifecycleError::BadOption(_) => unusable("INVALID_OPTION", "Options make no sense").at("/options"),
            LifecycleError::Drifted { .. } | LifecycleError::Diverged { .. } => {
                conflict("TABLES_DIFFER", "Tables are not as expected")
            }
            LifecycleError::Unseeded(_) => unusable("SEED_FAILED", "New tenants could not be made"),
            LifecycleError::Halted { .. } | LifecycleError::StillMade(_) | LifecycleError::Switching(_) => {
                conflict("MIGRATION_HALTED", "Not every tenant was migrated")
            }
            LifecycleError::BadRetention(_) => unusable("INVALID_RETENTION", "Times to keep rows make no sense"),
            LifecycleError::OtherOrphans(_) => conflict("ORPHANS_CHANGED", "Other orphans than reported").at("/digest"),
            LifecycleError::NoCluster => conflict("NO_CLUSTER", "No cluster is registered"),
            LifecycleError::DatabaseTaken { .. } => conflict("DATABASE_TAKEN", "Database name already in use"),
            LifecycleError::KindFixed { .. } => {
                conflict("CLUSTER_KIND_FIXED", "Cluster of the other kind").at("/dedicated")
            }
            LifecycleError::BadCluster(_) => unusable("INVALID_CLUSTER", "The server is not usable").at("/dsn"),
            LifecycleError::Server { .. } | LifecycleError::Repair(_) => {
                error!(error = %detail, "a cluster failed");
                Self::new(StatusCode::BAD_GATEWAY, "CLUSTER_FAILED", "A cluster failed", detail)
            }
            LifecycleError::Undone { cause, undoing } => {
                error!(%cause, %undoing, "a change failed and could not be undone yet");
                let mut problem = Self::from(*cause);
                problem.detail.push_str("; síndico is still removing what was made");
                problem
            }
            LifecycleError::PutOff { operation, cause } => {
                let mut problem = Self::from(*cause);
                problem.detail.push_str(&format!("; síndico goes on with it: `sindico operation show {operation}`"));
                problem
            }
            LifecycleError::Jobs(JobsError::UnderWay) | LifecycleError::TakenOver(_) => {
                conflict("CHANGE_IN_PROGRESS", "Another change is under way")
            }
            LifecycleError::Jobs(JobsError::Database(error)) => CatalogError::Database(error).into(),
            LifecycleError::Cancelled | LifecycleError::Jobs(JobsError::Cancelled) => {
                conflict("CANCELLED", "The operation was cancelled")
            }
            LifecycleError::NotCancellable { .. } => conflict("NOT_CANCELLABLE", "The operation cannot be cancelled"),
            LifecycleError::UnknownOperation(_) => unknown(detail),
            failure @ (LifecycleError::NoStore
            | LifecycleError::UnknownBackup(_)
            | LifecycleError::UnknownTable { .. }
            | LifecycleError::BadBackup { .. }
            | LifecycleError::UnknownArchive(_)
            | LifecycleError::BadArchive { .. }
            | LifecycleError::NotBackedUp { .. }
            | LifecycleError::Objects(_)) => of_backups(&failure, detail),
            failure @ (LifecycleError::NoMail
            | LifecycleError::Mail(_)
            | LifecycleError::UnknownMember { .. }
            | LifecycleError::AlreadyConfirmed(_)
            | LifecycleError::BadConfirmation
            | LifecycleError::ConfirmationExpired) => of_members(&failure, detail),
            LifecycleError::UnknownSchedule(_) => schedules::unknown(detail),
            LifecycleError::ScheduleTaken(_) => conflict("SCHEDULE_TAKEN", "Schedule already there").at("/name"),
            LifecycleError::BadSchedule { field, reason } => Self::field(format!("/{field}"), reason),
            LifecycleError::NoUsage(_) => {
                Self::new(StatusCode::NOT_FOUND, "USAGE_NOT_COLLECTED", "Usage not collected yet", detail)
            }
            LifecycleError::Unverified(_)
            | LifecycleError::Injected(_)
            | LifecycleError::Uncollected { .. }
            | LifecycleError::CutOff
            | LifecycleError::Step(_)
            | LifecycleError::Jobs(JobsError::Lost | JobsError::Unreadable(_)) => {
                error!(error = %detail, "a change failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "Internal error", detail)
            }
            LifecycleError::Stopping => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "STOPPING", "síndico is stopping", detail)
            }
        }
    }
}

/// What is wrong with an app's SQL, and where.
fn of_sql(failure: &LifecycleError, detail: String) -> Problem {
    let unusable = |code, title| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, title, detail);
    match failure {
        LifecycleError::Statement { file, line, reason } => {
            let mut problem = unusable("SQL_FAILED", "A statement of the app failed");
            problem.errors.push(Fault { pointer: format!("{file}:{line}"), detail: reason.clone() });
            problem
        }
        failure => {
            let mut problem = unusable("SQL_REFUSED", "The app's SQL was refused");
            let LifecycleError::Refused(refusals) = failure else { return problem };
            let told = refusals.iter().map(|refusal| Fault {
                pointer: format!("{}:{}", refusal.file, refusal.line),
                detail: format!("{}; {}", refusal.reason, refusal.remedy),
            });
            problem.errors.extend(told);
            problem
        }
    }
}

/// What is wrong with letters to members, or with what comes of them.
fn of_members(failure: &LifecycleError, detail: String) -> Problem {
    let (status, code, title) = match failure {
        LifecycleError::NoMail => (StatusCode::CONFLICT, "NO_MAIL", "No mail is configured"),
        LifecycleError::AlreadyConfirmed(_) => (StatusCode::CONFLICT, "ALREADY_CONFIRMED", "Address already confirmed"),
        LifecycleError::BadConfirmation => (StatusCode::NOT_FOUND, "CONFIRMATION_NOT_FOUND", "Link not valid"),
        LifecycleError::ConfirmationExpired => (StatusCode::GONE, "CONFIRMATION_EXPIRED", "Link expired"),
        LifecycleError::UnknownMember { .. } => return members::ask::unknown(detail),
        // Nobody who asks over HTTP waits for a letter.
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "Internal error"),
    };
    Problem::new(status, code, title, detail)
}

/// What is wrong with a copy of a tenant, or with where copies are.
fn of_backups(failure: &LifecycleError, detail: String) -> Problem {
    let (status, code, title) = match failure {
        LifecycleError::NoStore => (StatusCode::CONFLICT, "NO_BACKUP_STORE", "No store for backups is configured"),
        LifecycleError::UnknownBackup(_) => return crate::backups::unknown(detail),
        LifecycleError::UnknownArchive(_) => return crate::archives::unknown(detail),
        LifecycleError::BadArchive { .. } => (StatusCode::CONFLICT, "ARCHIVE_UNUSABLE", "The archive cannot be used"),
        LifecycleError::UnknownTable { .. } => (StatusCode::NOT_FOUND, "TABLE_NOT_FOUND", "Table not found"),
        LifecycleError::NotBackedUp { .. } => {
            (StatusCode::CONFLICT, "BACKUPS_INCOMPLETE", "Not every tenant was backed up")
        }
        LifecycleError::Objects(_) => (StatusCode::BAD_GATEWAY, "OBJECT_STORE_FAILED", "The object store failed"),
        _ => (StatusCode::CONFLICT, "BACKUP_UNUSABLE", "The backup cannot be used"),
    };
    Problem::new(status, code, title, detail)
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = format!("{refusal}. {}", refusal.hint());
        match refusal {
            Refusal::UnknownTenant(name) => Self::tenant_not_found(&name),
            Refusal::Disagreement { .. } => {
                Self::new(StatusCode::FORBIDDEN, "TENANT_MISMATCH", "Two tenants are named", detail)
            }
            Refusal::WrongKey(_) | Refusal::KeyRevoked(_) | Refusal::BadToken { .. } | Refusal::TokenExpired(_) => {
                Self::unauthorized(&detail)
            }
            Refusal::Suspended(_) | Refusal::WrongApp { .. } => {
                Self::new(StatusCode::FORBIDDEN, "TENANT_CLOSED", "Tenant is closed", detail)
            }
            Refusal::TooManyConnections { .. } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_CONNECTIONS", "Too many connections", detail)
            }
            Refusal::Provisioning(_)
            | Refusal::NoSchema(_)
            | Refusal::NoCluster(_)
            | Refusal::NoRules(_)
            | Refusal::Held(_)
            | Refusal::Ended(_)
            | Refusal::Yielded(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "TENANT_UNAVAILABLE", "Tenant is not available", detail)
            }
        }
    }
}
