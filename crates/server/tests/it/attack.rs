//! What a tenant that means harm may try with a key of its own, in every isolation.

mod bytes;
mod identity;
mod rows;
