//! What a tenant that means harm may try besides the attacks that `sindico audit` carries (`crate::audit`): spoiling its own
//! role, names of every kind, and bytes before and after the login.

mod bytes;
mod identity;
