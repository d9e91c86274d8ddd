//! Finds PostgreSQL's programs and runs private clusters: for `sindico up`, which needs no configuration, and for
//! tests, which need real servers.
//!
//! [`Programs`] says where PostgreSQL is, [`Cluster`] is a server that runs, [`Scratch`] one that leaves nothing
//! behind. A cluster belongs to the process that started it and ends with it. If that process is killed, the server
//! goes on, and the next [`Cluster::start`] on the same directory takes it over. Linux only: processes are recognised
//! by `/proc`.

mod cluster;
mod error;
mod init;
mod launch;
mod layout;
mod lock;
mod log;
mod password;
mod pidfile;
mod port;
mod process;
mod programs;
mod reachable;
mod record;
mod scratch;
mod server;
mod takeover;
mod user;
mod version;

pub use cluster::{Cluster, ClusterConfig};
pub use error::{ClusterError, Death};
pub use lock::{DirLock, LockError};
pub use port::PortChoice;
pub use programs::{Programs, ProgramsError, Rejected};
pub use reachable::{Unreachable, reachable};
pub use scratch::{Scratch, ScratchError};
pub use user::UserError;
pub use version::{OLDEST_MAJOR, Version};
