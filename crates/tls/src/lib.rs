//! Encryption of connections: what the gateway's clients and its servers are reached through.
//!
//! A [`Stream`] is a socket that may be encrypted. As a server it proves itself with a [`Certificate`]; of a server it asks
//! what a [`Trust`] says, which is read from a cluster's connection string ([`Dsn`]). Everything runs on rustls with AWS-LC,
//! chosen where it is used and not for the whole process. No message of PostgreSQL's protocol is known here but the one that
//! asks for TLS.

mod address;
mod certificate;
mod connector;
mod dsn;
mod encrypted;
mod end_point;
mod stream;
mod trust;
mod verify;

pub use address::{Address, Socket, is_folder};
pub use certificate::{Certificate, CertificateError};
pub use connector::{Channel, Connector, HostConnector};
pub use dsn::{Dsn, DsnError};
pub use encrypted::{Encrypted, Greeting};
pub use end_point::end_point;
pub use stream::{ReadHalf, Stream, WriteHalf};
pub use trust::{Demand, Trust, TrustError};

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};

/// The protocol's name in TLS (ALPN), by which a server that speaks several tells it apart (PostgreSQL manual, 55.2.10).
pub const ALPN: &[u8] = b"postgresql";

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
