//! Objects in a folder or an S3 bucket, compressed and sealed on their way.
//!
//! Everything streams: an object of any size takes a few MiB of memory. What compresses and seals runs on a thread of its own, beside
//! those that serve clients.

mod error;
mod read;
mod seal;
mod store;
mod write;

pub use error::ObjectError;
pub use read::ObjectReader;
pub use seal::ObjectKey;
pub use store::{S3Settings, Secret, Store, StorePlace};
pub use write::{ObjectWriter, Written};

/// Chunks that wait on either side of the thread that works on them.
const WAITING: usize = 4;
