//! placeholder
use catalog::Catalog;
use domain::AppName;
use lifecycle::Lifecycle;
use serde::Serialize;
use crate::{AuditError, NotRun};
/// Finding.
#[derive(Debug, Clone, Serialize)]
pub struct Finding { 
  /// what
  pub what: String }
/// x
#[derive(Debug, Default)]
pub(crate) struct Inspected { pub(crate) findings: Vec<Finding>, pub(crate) not_run: Vec<NotRun> }
pub(crate) async fn installation(_: &Catalog, _: &Lifecycle, _: &[AppName]) -> Result<Inspected, AuditError> { Ok(Inspected::default()) }
