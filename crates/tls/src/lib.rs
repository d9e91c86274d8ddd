//! Encryption of connections: what the gateway's clients and its servers are reached through.
//!
//! A [`Stream`] is a socket that may be encrypted. As a server it proves itself with a [`Certificate`]. Everything runs
//! on rustls with AWS-LC, chosen where it is used and not for the whole process. No message of any protocol is known here
//! but the name that PostgreSQL's goes by in TLS.

mod certificate;
mod encrypted;
mod end_point;
mod stream;

pub use certificate::{Certificate, CertificateError};
pub use encrypted::Greeting;
pub use end_point::end_point;
pub use stream::{ReadHalf, Stream, WriteHalf};

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};

/// The protocol's name in TLS (ALPN), by which a server that speaks several tells it apart (PostgreSQL manual, 55.2.10).
pub const ALPN: &[u8] = b"postgresql";

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
