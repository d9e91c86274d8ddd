//! `/tenants/{tenant}/schema`: the schema of a tenant whose isolation is `schema` (TM-3).

pub(crate) mod create;
pub(crate) mod drop;
