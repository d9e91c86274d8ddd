//! What can go wrong with a change, by whose fault it is.

use catalog::CatalogError;
use domain::{AppName, ClusterName, Email, Isolation, Slug, Status};
use jobs::JobsError;
use objects::ObjectError;
use tenancy::RepairError;
use tenantize::Refusals;
use uuid::Uuid;

/// Failures of a change. Whatever it began has been undone when one of these is returned, or will be (see
/// [`LifecycleError::Undone`]).
#[derive(Debug, thiserror::Error)]
pub enum LifecycleError {
    /// Control data refused.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The operation's journal, or whose it is.
    #[error(transparent)]
    Jobs(#[from] JobsError),
    /// Somebody has cancelled it.
    #[error("the operation was cancelled, and what it had begun was undone")]
    Cancelled,
    /// It could not be finished now; the operation goes on.
    #[error("{cause}; it will be tried again: `sindico operation show {operation}`")]
    PutOff {
        /// Which operation.
        operation: Uuid,
        /// Why not now.
        cause: Box<LifecycleError>,
    },
    /// The process lost the operation to another, or its control database for too long.
    #[error("the operation is being finished by another process: `sindico operation show {0}`")]
    TakenOver(Uuid),
    /// There is no such operation.
    #[error("operation {0} not found; `sindico operation list` shows those that there are")]
    UnknownOperation(Uuid),
    /// It has ended, is being undone already, or must be brought to its end.
    #[error("operation {operation} cannot be cancelled: {why}")]
    NotCancellable {
        /// Which operation.
        operation: Uuid,
        /// What keeps it from being.
        why: &'static str,
    },
    /// There is no such schedule.
    #[error("schedule \"{0}\" not found; `sindico schedule list` shows those that there are")]
    UnknownSchedule(String),
    /// Another has the name.
    #[error("there is a schedule \"{0}\" already; choose another name, or change that one")]
    ScheduleTaken(String),
    /// A schedule cannot be kept as it is given.
    #[error("{reason}")]
    BadSchedule {
        /// Which part of it.
        field: &'static str,
        /// What is wrong with it, and what to give instead.
        reason: String,
    },
    /// Nobody has looked yet.
    #[error("what tenant \"{0}\" uses has not been collected yet; collect it with `sindico tenant usage {0} --now`")]
    NoUsage(Slug),
    /// Some places could not be looked at.
    #[error(
        "what {missing} of {total} tenants use could not be collected, the first because: {first}; that of the others was"
    )]
    Uncollected {
        /// So many tenants.
        missing: usize,
        /// Of so many.
        total: usize,
        /// Why the first of them was not looked at.
        first: String,
    },
    /// A step failed for a reason of its own.
    #[error("{0}")]
    Step(String),
    /// A tenant's roles could not be given their own passwords and settings again.
    #[error("the tenant's roles could not be restored: {0}")]
    Repair(#[from] RepairError),
    /// Nobody of this name.
    #[error("tenant \"{0}\" not found")]
    UnknownTenant(String),
    /// The change does not fit the tenant's state.
    #[error("tenant \"{slug}\" is {status}; {remedy}")]
    WrongStatus {
        /// Which tenant.
        slug: Slug,
        /// Its state.
        status: Status,
        /// What to do.
        remedy: &'static str,
    },
    /// Only tenants in `schema` have a schema to create or drop.
    #[error("tenant \"{slug}\" has isolation {isolation}; only tenants of isolation schema have a schema of their own")]
    NotInSchema {
        /// Which tenant.
        slug: Slug,
        /// Its isolation.
        isolation: Isolation,
    },
    /// It is there already.
    #[error("tenant \"{0}\" already has its schema; drop it first to start anew")]
    SchemaExists(Slug),
    /// It is gone already.
    #[error("tenant \"{0}\" has no schema to drop")]
    SchemaMissing(Slug),
    /// Only where tables are shared does a tenant need views.
    #[error(
        "tenant \"{slug}\" has isolation {isolation} and tables of its own; a tool reads them with a read-only key of \
         the tenant's (`sindico tenant key create {slug} --read-only`)"
    )]
    NotShared {
        /// Which tenant.
        slug: Slug,
        /// Its isolation.
        isolation: Isolation,
    },
    /// There are none.
    #[error("tenant \"{0}\" has no views; make them with `sindico tenant views create {0}`")]
    NoViews(Slug),
    /// Somebody has built on them.
    #[error("views of tenant \"{slug}\" are in use: {reason}")]
    ViewsInUse {
        /// Which tenant.
        slug: Slug,
        /// By what, and what to do.
        reason: String,
    },
    /// The app's SQL is not accepted.
    #[error("the app's SQL was refused:\n{0}")]
    Refused(Refusals),
    /// A statement of the app did not run.
    #[error("{file}:{line}: {reason}")]
    Statement {
        /// The app's file.
        file: String,
        /// Line in that file.
        line: u32,
        /// What PostgreSQL said.
        reason: String,
    },
    /// An app's folder holds something unexpected.
    #[error("{0}")]
    BadApp(String),
    /// Nowhere to try an app.
    #[error("no cluster is registered, so the app cannot be tried; register one with `sindico cluster add` first")]
    NoCluster,
    /// A database of that name is somebody else's.
    #[error(
        "cluster \"{cluster}\" already has a database \"{database}\" that this síndico did not make for app \"{app}\"; \
         rename one of them"
    )]
    DatabaseTaken {
        /// Where.
        cluster: ClusterName,
        /// Which database.
        database: String,
        /// Which app wants it.
        app: AppName,
    },
    /// What is built on a cluster depends on its kind.
    #[error(
        "cluster \"{cluster}\" was registered as {}, and a cluster's kind cannot change; register it as it was",
        if *.dedicated { "dedicated" } else { "not dedicated" }
    )]
    KindFixed {
        /// Which cluster.
        cluster: ClusterName,
        /// Its kind.
        dedicated: bool,
    },
    /// The server cannot be used as a cluster.
    #[error("{0}")]
    BadCluster(String),
    /// A server does not answer, or refuses an administrative statement.
    #[error("PostgreSQL on cluster \"{cluster}\": {reason}")]
    Server {
        /// Which cluster, by name or id.
        cluster: String,
        /// What it said.
        reason: String,
    },
    /// What was just made does not read back as it should.
    #[error("verification failed: {0}; this is a bug in síndico, please report it")]
    Unverified(String),
    /// Something failed and undoing failed as well; síndico keeps trying.
    #[error("{cause}; undoing it has to wait: {undoing}")]
    Undone {
        /// Why the change failed.
        cause: Box<LifecycleError>,
        /// Why the undoing failed.
        undoing: Box<LifecycleError>,
    },
    /// How tenants are to be migrated makes no sense.
    #[error("{0}")]
    BadOption(String),
    /// A tenant's tables are not what its version has.
    #[error(
        "the tables of \"{slug}\" would not be those of the new version; - is lacking, + is there besides:\n{difference}\n\
         make them as they were before, or bring them to the new version by hand, and apply the migration again"
    )]
    Drifted {
        /// Whose.
        slug: Slug,
        /// A line for each object.
        difference: String,
    },
    /// Tables that were migrated are not those that are made anew.
    #[error(
        "tables that have been migrated would differ from new ones{place}; - is lacking, + is there besides:\n{difference}\n\
         write the migration so that its result does not depend on rows or on what was there before"
    )]
    Diverged {
        /// Which.
        place: &'static str,
        /// A line for each object.
        difference: String,
    },
    /// New tenants do not go with tables that have been migrated.
    #[error(
        "new tenants could not be made beside those that are migrated: {0}; rows of global tables that are new in seed/ are only in new \
         databases, so write them in a migration, and not in seed/"
    )]
    Unseeded(Box<LifecycleError>),
    /// Too many tenants could not be migrated.
    #[error(
        "{failed} of {total} tenants keep their version, the first because: {first}; `sindico migrate status` shows all. \
             Migrated tenants stay as they are; when the cause is mended, apply the migration again"
    )]
    Halted {
        /// So many failed.
        failed: usize,
        /// Of so many.
        total: usize,
        /// Why the first of them failed.
        first: String,
    },
    /// A migration was cut off while it changed what new tenants are made from.
    #[error(
        "app \"{0}\" is between two versions on this cluster, since its last migration was not finished; apply that again, then try again"
    )]
    Switching(AppName),
    /// Tenants that were being made when the app was migrated are not done.
    #[error("tenants are still being made as the app was before: {0}; apply the migration again when they are done")]
    StillMade(String),
    /// No way for letters.
    #[error("no mail is configured; set [mail] in sindico.toml (docs/mail.md)")]
    NoMail,
    /// A letter did not go.
    #[error(transparent)]
    Mail(#[from] mail::MailError),
    /// There is no such member.
    #[error("tenant \"{slug}\" has no member {member}; `sindico tenant member list {slug}` shows those that it has")]
    UnknownMember {
        /// Who.
        member: Uuid,
        /// Of which tenant.
        slug: Slug,
    },
    /// There is nothing to ask.
    #[error("{0} is confirmed already")]
    AlreadyConfirmed(Email),
    /// A token that nobody has been sent.
    #[error("the link is not valid; use the newest letter, or ask for another")]
    BadConfirmation,
    /// A token that came too late.
    #[error("the link has expired; ask for another letter")]
    ConfirmationExpired,
    /// Nowhere to put backups.
    #[error("no store for backups is configured; set backups.url in sindico.toml to a folder or an S3 bucket")]
    NoStore,
    /// There is no such backup.
    #[error("backup {0} not found; `sindico backup list` shows those that there are")]
    UnknownBackup(Uuid),
    /// It has no such table.
    #[error("backup {backup} has no table {table:?}; `sindico backup show {backup}` lists its tables")]
    UnknownTable {
        /// Which backup.
        backup: Uuid,
        /// What was asked for.
        table: String,
    },
    /// It cannot be used.
    #[error("backup {backup} cannot be used: {why}")]
    BadBackup {
        /// Which backup.
        backup: Uuid,
        /// Why not.
        why: String,
    },
    /// There is no such archive.
    #[error("archive {0} not found; `sindico archive list` shows those that there are")]
    UnknownArchive(Uuid),
    /// It cannot be used.
    #[error("archive {archive} cannot be used: {why}")]
    BadArchive {
        /// Which archive.
        archive: Uuid,
        /// Why not.
        why: String,
    },
    /// Some tenants have no new backup.
    #[error("{failed} of {total} tenants could not be backed up, the first because: {first}; the others have been")]
    NotBackedUp {
        /// So many failed.
        failed: usize,
        /// Of so many.
        total: usize,
        /// Why the first of them failed.
        first: String,
    },
    /// The object store.
    #[error(transparent)]
    Objects(#[from] ObjectError),
    /// How long rows are kept makes no sense.
    #[error("{0}")]
    BadRetention(String),
    /// What was reported is not what there is.
    #[error(
        "what is found now is not what was reported as {0}; look at the report again (`sindico sweep`), then remove what it shows"
    )]
    OtherOrphans(String),
    /// A test asked for it.
    #[error("injected failure at {0}")]
    Injected(&'static str),
    /// The change did not come to its end; what it began is undone by recovery, or by the next attempt.
    #[error("síndico failed in the middle of this change, which is a bug; see its log, and please report it")]
    CutOff,
    /// The process is stopping.
    #[error("síndico is stopping; try again when it is back")]
    Stopping,
}

impl LifecycleError {
    /// A statement that fails where new tenants are made on migrated tables.
    pub(crate) fn unseeded(self) -> Self {
        match self {
            error @ Self::Statement { .. } => Self::Unseeded(error.into()),
            error => error,
        }
    }

    /// What to report of a change that failed, once its undoing has come to an end.
    pub(crate) fn undone(self, undoing: Result<(), Self>) -> Self {
        match undoing {
            Ok(()) => self,
            Err(undoing) => Self::Undone { cause: self.into(), undoing: undoing.into() },
        }
    }
}

/// What PostgreSQL said, with its detail, on one line. The driver's own text leaves both out.
pub(crate) fn postgres_text(error: &tokio_postgres::Error) -> String {
    let Some(said) = error.as_db_error() else {
        return std::error::Error::source(error)
            .map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
    };
    let detail = said.detail().map(|detail| format!(" ({})", detail.replace('\n', " "))).unwrap_or_default();
    format!("{}{detail} [{}]", said.message(), said.code().code())
}
