//! Closed sets of words, as the OpenAPI description lists them. Built from what they are read with, so that the two cannot disagree.

use domain::{Access, Isolation, PoolMode, Pooling, Status};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// How a tenant's data is kept apart. A name for descriptions; no value of it exists.
pub(crate) enum IsolationWord {}

/// What a tenant may do at the moment.
pub(crate) enum StatusWord {}

/// Those states that an operator can set.
pub(crate) enum SettableStatusWord {}

/// What a key allows.
pub(crate) enum AccessWord {}

/// For how long a client has its server connection.
pub(crate) enum PoolModeWord {}

/// Which server connections a tenant's transactions run on.
pub(crate) enum PoolingWord {}

/// How an operation stands.
pub(crate) enum OperationStateWord {}

/// Whether a backup can be used.
pub(crate) enum BackupStateWord {}

/// Whether an archive has rows that are nowhere else.
pub(crate) enum ArchiveStateWord {}

/// How rows are written.
pub(crate) enum RowFormatWord {}
/// What a schedule begins.
pub(crate) enum ScheduleKindWord {}

macro_rules! described {
    ($name:ident, $words:expr) => {
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new().schema_type(Type::String).enum_values(Some($words)).into()
            }
        }

        impl ToSchema for $name {}
    };
}

described!(IsolationWord, Isolation::ALL.map(Isolation::as_str));
described!(StatusWord, [Status::Provisioning, Status::Active, Status::Suspended, Status::Deleting].map(Status::as_str));
described!(SettableStatusWord, [Status::Active, Status::Suspended].map(Status::as_str));
described!(PoolModeWord, PoolMode::ALL.map(PoolMode::as_str));
described!(PoolingWord, Pooling::ALL.map(Pooling::as_str));
described!(OperationStateWord, lifecycle::State::ALL.map(lifecycle::State::as_str));
described!(BackupStateWord, catalog::BackupState::ALL.map(catalog::BackupState::as_str));
described!(ArchiveStateWord, catalog::ArchiveState::ALL.map(catalog::ArchiveState::as_str));
described!(RowFormatWord, lifecycle::RowFormat::ALL.map(|(_, name)| name));
described!(ScheduleKindWord, lifecycle::ScheduleKind::ALL.map(lifecycle::ScheduleKind::as_str));
described!(AccessWord, [Access::ReadWrite, Access::ReadOnly].map(Access::as_str));
