//! `/tenants/{tenant}/schema`: the schema of a tenant whose isolation is `schema`.

pub(crate) mod create;
pub(crate) mod drop;
