//! The master key: what it seals, and the passwords that follow from it.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{error::Unspecified, hmac};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use domain::{AppName, Role, TenantId};
use uuid::Uuid;
use wire::scram::Verifier;

use crate::confirmation::ConfirmationKey;
use crate::proof::{ChannelKey, TokenKey};

/// The one secret of an installation: 32 random bytes, kept outside the control database, so that a copy of the control
/// database alone opens nothing.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

/// A sealed value or the key itself was not usable.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The text given as master key.
    #[error("the master key must be 64 hexadecimal digits; make one with `openssl rand -hex 32`")]
    Malformed,
    /// Another key, or a changed value.
    #[error("a sealed value does not open with this master key; start síndico with the key that sealed it")]
    Closed,
    /// The operating system gave no random bytes.
    #[error("the operating system's random number generator failed")]
    Random,
}

impl MasterKey {
    /// A new key from the operating system's generator.
    pub fn generate() -> Result<Self, SealError> {
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|Unspecified| SealError::Random)?;
        Ok(Self(bytes))
    }

    /// Reads the 64 hexadecimal digits that [`MasterKey::to_hex`] wrote.
    pub fn from_hex(text: &str) -> Result<Self, SealError> {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).map_err(|_| SealError::Malformed)?;
        bytes.try_into().map(Self).map_err(|_| SealError::Malformed)
    }

    /// The key as text, for the file that keeps it.
    #[must_use]
    pub fn to_hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// The password of a tenant's role on a cluster. Derived, so that there is nothing to store, to leak or to lose,
    /// and a role whose password a tenant changed can be given its own again.
    #[must_use]
    pub fn role_password(&self, cluster: Uuid, role: Role) -> String {
        let label = format!("role-password:{cluster}:{role}");
        HEXLOWER.encode(self.derive(&label).as_ref())
    }

    /// The password of an app's dense login on a cluster, derived like those of tenants' roles. SQL that runs on the
    /// login can change it (`ALTER ROLE … PASSWORD`), which stops new connections until it is given its own again and
    /// lets nobody in: without a token the login sees no rows. A cluster whose `pg_hba.conf` has the login
    /// authenticate by certificate or peer does not ask for it at all.
    #[must_use]
    pub fn dense_password(&self, cluster: Uuid, login: &str) -> String {
        HEXLOWER.encode(self.derive(&format!("dense-password:{cluster}:{login}")).as_ref())
    }

    /// What a cluster keeps of [`MasterKey::dense_password`].
    pub fn dense_verifier(&self, cluster: Uuid, login: &str) -> Result<Verifier, SealError> {
        verifier(&self.dense_password(cluster, login))
    }

    /// The key that proves tenants on an app's dense login, one for each app and cluster.
    #[must_use]
    pub fn token_key(&self, cluster: Uuid, app: &AppName) -> TokenKey {
        TokenKey::new(self.derived(&format!("token-key:{cluster}:{app}")))
    }

    /// The key that tenants' notification channels follow from, one for each app and cluster.
    #[must_use]
    pub fn channel_key(&self, cluster: Uuid, app: &AppName) -> ChannelKey {
        ChannelKey::new(self.derived(&format!("channel-key:{cluster}:{app}")))
    }

    /// What stands before the name of a tenant's notification channels where it shares a database: 24 characters.
    #[must_use]
    pub fn channel_prefix(&self, cluster: Uuid, app: &AppName, tenant: TenantId) -> String {
        self.channel_key(cluster, app).prefix(tenant)
    }

    /// What a tenant's backups are sealed with. Derived, so that with the master key a copy of the store is enough to restore from.
    #[must_use]
    pub fn backup_key(&self, tenant: TenantId) -> [u8; 32] {
        self.derived(&format!("backup-key:{tenant}"))
    }

    /// What proves that somebody has read a letter.
    #[must_use]
    pub fn confirmation_key(&self) -> ConfirmationKey {
        ConfirmationKey::new(self.derived("confirmation-key"))
    }

    /// A name for this installation that tells nothing of the key, for marking what is ours on a cluster.
    #[must_use]
    pub fn installation(&self) -> String {
        HEXLOWER.encode(&self.derive("installation").as_ref()[..8])
    }

    /// What a cluster keeps of [`MasterKey::role_password`]. Handing PostgreSQL the verifier instead of the password
    /// keeps the password out of its logs.
    pub fn role_verifier(&self, cluster: Uuid, role: Role) -> Result<Verifier, SealError> {
        verifier(&self.role_password(cluster, role))
    }

    /// Whether a role's verifier, as a cluster has it, is of the password that follows from this key: then this installation has made
    /// the role. Takes milliseconds.
    #[must_use]
    pub fn has_made(&self, cluster: Uuid, role: Role, stored: &str) -> bool {
        stored.parse::<Verifier>().is_ok_and(|verifier| verifier.matches(self.role_password(cluster, role)))
    }

    /// Seals a value for one place (AES-256-GCM, the place as additional data, the nonce in front).
    pub fn seal(&self, place: &str, plain: &str) -> Result<Vec<u8>, SealError> {
        let mut sealed = plain.as_bytes().to_vec();
        let nonce = self
            .sealing_key()?
            .seal_in_place_append_tag(Aad::from(place.as_bytes()), &mut sealed)
            .map_err(|Unspecified| SealError::Random)?;
        let mut whole = nonce.as_ref().to_vec();
        whole.append(&mut sealed);
        Ok(whole)
    }

    /// Opens what [`MasterKey::seal`] sealed for the same place.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<String, SealError> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(SealError::Closed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|Unspecified| SealError::Closed)?;
        let mut body = body.to_vec();
        let plain = self
            .sealing_key()?
            .open_in_place(nonce, Aad::from(place.as_bytes()), &mut body)
            .map_err(|Unspecified| SealError::Closed)?;
        String::from_utf8(plain.to_vec()).map_err(|_| SealError::Closed)
    }

    fn sealing_key(&self) -> Result<RandomizedNonceKey, SealError> {
        RandomizedNonceKey::new(&AES_256_GCM, self.derive("seal").as_ref()).map_err(|Unspecified| SealError::Malformed)
    }

    fn derived(&self, label: &str) -> [u8; 32] {
        let mut key = [0; 32];
        // HMAC-SHA-256 gives just as many bytes.
        key.copy_from_slice(self.derive(label).as_ref());
        key
    }

    fn derive(&self, label: &str) -> hmac::Tag {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), label.as_bytes())
    }
}

fn verifier(password: &str) -> Result<Verifier, SealError> {
    Ok(Verifier::derive(password, &new_salt()?, crate::SCRAM_ITERATIONS))
}

/// A salt that nobody has used.
pub(crate) fn new_salt() -> Result<[u8; 16], SealError> {
    let mut salt = [0; 16];
    aws_lc_rs::rand::fill(&mut salt).map_err(|Unspecified| SealError::Random)?;
    Ok(salt)
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_only_in_its_place_and_with_its_key() {
        let key = MasterKey::generate().expect("random bytes");
        let sealed = key.seal("clusters.dsn:1", "postgresql://…").expect("sealed");
        assert_eq!(key.open("clusters.dsn:1", &sealed).expect("opened"), "postgresql://…");
        assert!(key.open("clusters.dsn:2", &sealed).is_err());
        assert!(MasterKey::generate().expect("random bytes").open("clusters.dsn:1", &sealed).is_err());
        let mut bent = sealed.clone();
        bent[NONCE_LEN] ^= 1;
        assert!(key.open("clusters.dsn:1", &bent).is_err());
        assert!(key.open("clusters.dsn:1", &sealed[..5]).is_err());
    }

    #[test]
    fn a_key_survives_its_file() {
        let key = MasterKey::generate().expect("random bytes");
        let again = MasterKey::from_hex(&format!("{}\n", key.to_hex())).expect("read back");
        let role = Role::both("0192f0c1-2345-7abc-8def-0123456789ab".parse().expect("an id"))[0];
        assert_eq!(key.role_password(Uuid::nil(), role), again.role_password(Uuid::nil(), role));
        assert!(MasterKey::from_hex("abc").is_err());
    }
}
