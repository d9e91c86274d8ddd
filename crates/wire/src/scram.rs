//! SCRAM-SHA-256 from both sides (RFC 5802 and RFC 7677, as PostgreSQL manual 55.3.1 carries it).
//!
//! A tenant may hold several keys. The client cannot say which one it uses before it has proven it, and it needs salt and
//! iteration count earlier; so all keys of a tenant share those two, and the proof is held against each [`Verifier`].

mod client;
mod exchange;
mod verifier;

pub use client::{BadServer, Binding, Challenge, ClientKeys, Expected, Opening};
pub use exchange::{Channel, Exchange, ScramError};
pub use verifier::{InvalidVerifier, Verifier};

use aws_lc_rs::hmac;

/// What a server offers in `AuthenticationSASL`.
pub const MECHANISM: &str = "SCRAM-SHA-256";

/// What it offers besides where TLS ends in its own process: the same, bound to the server's certificate
/// (`tls-server-end-point`, RFC 5929, section 4).
pub const MECHANISM_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// Bytes of a SHA-256 digest, and so of every key and proof here.
const KEY_LEN: usize = 32;

fn hmac(key: &[u8], data: &[u8]) -> [u8; KEY_LEN] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data);
    first_bytes(tag.as_ref())
}

fn sha256(data: &[u8]) -> [u8; KEY_LEN] {
    first_bytes(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, data).as_ref())
}

fn first_bytes(digest: &[u8]) -> [u8; KEY_LEN] {
    let mut bytes = [0; KEY_LEN];
    for (to, from) in bytes.iter_mut().zip(digest) {
        *to = *from;
    }
    bytes
}
