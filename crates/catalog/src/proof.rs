//! Keys that a database checks proofs with: who is served on a connection that serves many, and which channels are
//! whose.

use std::fmt;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use domain::TenantId;

use crate::SealError;

/// Bytes in a block of SHA-256, to which HMAC fills its key up.
const BLOCK: usize = 64;

/// Both blocks that HMAC derives from a key (RFC 2104, section 2): with them, a database without HMAC makes one of two
/// hashes.
#[derive(Clone)]
pub struct HmacBlocks {
    /// Hashed first, before the text.
    pub inner: [u8; BLOCK],
    /// Hashed second, before the first hash.
    pub outer: [u8; BLOCK],
}

impl HmacBlocks {
    fn of(key: &[u8; 32]) -> Self {
        let mut filled = [0; BLOCK];
        filled[..key.len()].copy_from_slice(key);
        Self { inner: filled.map(|byte| byte ^ 0x36), outer: filled.map(|byte| byte ^ 0x5c) }
    }
}

impl fmt::Debug for HmacBlocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacBlocks(…)")
    }
}

/// Proves on a connection of an app's dense login whom it serves.
#[derive(Clone)]
pub struct TokenKey([u8; 32]);

impl TokenKey {
    /// How old a token may be when it is presented, in seconds.
    pub const LIFE: u64 = 900;

    pub(crate) const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// What the database keeps of the key.
    #[must_use]
    pub fn blocks(&self) -> HmacBlocks {
        HmacBlocks::of(&self.0)
    }

    /// A token for one server process, `tenant.pid.nonce.mac`. `now` is the server's time in seconds since 1970,
    /// which the nonce begins with: `sindico.enter` in the database reads it.
    pub fn issue(&self, tenant: TenantId, pid: u32, now: u64) -> Result<String, SealError> {
        let mut random = [0; 12];
        aws_lc_rs::rand::fill(&mut random).map_err(|Unspecified| SealError::Random)?;
        let body = format!("{}.{pid}.{now:010}{}", tenant.hex(), HEXLOWER.encode(&random));
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), body.as_bytes());
        Ok(format!("{body}.{}", HEXLOWER.encode(mac.as_ref())))
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(…)")
    }
}

/// Names tenants' notification channels, which are one name space per database.
#[derive(Clone)]
pub struct ChannelKey([u8; 32]);

impl ChannelKey {
    pub(crate) const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// What the database keeps of the key.
    #[must_use]
    pub fn blocks(&self) -> HmacBlocks {
        HmacBlocks::of(&self.0)
    }

    /// What stands before the names of a tenant's channels: `n_`, 21 hexadecimal digits that nobody else can work
    /// out, `_`.
    #[must_use]
    pub fn prefix(&self, tenant: TenantId) -> String {
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), tenant.hex().as_bytes());
        format!("n_{}_", &HEXLOWER.encode(mac.as_ref())[..21])
    }
}

impl fmt::Debug for ChannelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::{SHA256, digest};

    use super::*;

    fn tenant() -> TenantId {
        "0192f0c1-2345-7abc-8def-0123456789ab".parse().expect("an id")
    }

    #[test]
    fn a_database_comes_to_the_same_proof_by_two_hashes() {
        let key = TokenKey::new([7; 32]);
        let token = key.issue(tenant(), 4711, 1_763_704_554).expect("random bytes");
        let (body, mac) = token.rsplit_once('.').expect("a proof at the end");
        assert!(body.starts_with("0192f0c123457abc8def0123456789ab.4711.1763704554"), "{body}");
        let blocks = key.blocks();
        let first = digest(&SHA256, &[&blocks.inner[..], body.as_bytes()].concat());
        let second = digest(&SHA256, &[&blocks.outer[..], first.as_ref()].concat());
        assert_eq!(mac, HEXLOWER.encode(second.as_ref()));
        assert_ne!(token, key.issue(tenant(), 4711, 1_763_704_554).expect("random bytes"), "the same token twice");
    }

    #[test]
    fn channels_are_each_tenants_own() {
        let other: TenantId = "0192f0c1-2345-7abc-8def-0123456789ac".parse().expect("an id");
        let key = ChannelKey::new([7; 32]);
        assert_eq!(key.prefix(tenant()).len(), 24);
        assert_ne!(key.prefix(tenant()), key.prefix(other));
        assert_ne!(key.prefix(tenant()), ChannelKey::new([8; 32]).prefix(tenant()));
    }
}
