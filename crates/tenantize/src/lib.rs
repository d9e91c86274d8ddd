//! tenantize
