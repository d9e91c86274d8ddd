//! An issuer's public keys: a file with a JWK Set (RFC 7517), read again when it changes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use arc_swap::ArcSwap;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Bytes of the smallest RSA modulus that is believed (RFC 7518, section 3.3).
const RSA_LEAST: usize = 256;

/// What verifies an issuer's signatures. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub(crate) struct TokenKeys {
    file: PathBuf,
    /// What the file held when it was last looked at, fit or not.
    seen: Vec<u8>,
    current: Arc<ArcSwap<Vec<TokenKey>>>,
}

impl std::fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenKeys").field("file", &self.file).finish_non_exhaustive()
    }
}

/// One key.
#[derive(Clone)]
pub(crate) struct TokenKey {
    kid: Option<String>,
    pub(crate) algorithm: Algorithm,
    pub(crate) key: DecodingKey,
}

/// What became of a search.
pub(crate) enum Found {
    Key(Box<TokenKey>),
    /// There is such a key, which signs by another algorithm.
    OtherAlgorithm,
    Nothing,
}

/// Why a file's keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenKeysError {
    /// It is not there, or not ours to read.
    #[error("cannot read {path}: {error}; name a file that síndico may read")]
    File {
        /// Which file.
        path: String,
        /// The system's reason.
        error: io::Error,
    },
    /// It is there and of no use.
    #[error("{path}: {fault}")]
    Unusable {
        /// Which file.
        path: String,
        /// What is wrong with it.
        fault: KeysFault,
    },
}

/// What is wrong with a set of keys. Nothing of the keys is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeysFault {
    /// Not a JWK Set.
    #[error("this is no JWK Set; it begins with {{\"keys\": [")]
    NoSet,
    /// Whoever verifies needs no secrets, and with a shared one could sign as well.
    #[error("key {0} is a secret one; put the issuer's public keys here")]
    Secret(usize),
    /// Every key is of a kind that is not known here.
    #[error("none of the keys verifies EdDSA, ES256, ES384, RS256 to RS512 or PS256 to PS512")]
    Nothing,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

impl TokenKeys {
    pub(crate) fn read(file: PathBuf) -> Result<Self, TokenKeysError> {
        let path = || file.display().to_string();
        let seen = fs::read(&file).map_err(|error| TokenKeysError::File { path: path(), error })?;
        let current = understand(&seen).map_err(|fault| TokenKeysError::Unusable { path: path(), fault })?;
        Ok(Self { file, seen, current: Arc::new(ArcSwap::from_pointee(current)) })
    }

    /// The key that a token says it was signed with. One that does not say can only mean an issuer's only key.
    pub(crate) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Found {
        let keys = self.current.load();
        if kid.is_none() && keys.len() > 1 {
            return Found::Nothing;
        }
        let mut meant = keys.iter().filter(|key| kid.is_none() || key.kid.as_deref() == kid).peekable();
        if meant.peek().is_none() {
            return Found::Nothing;
        }
        meant
            .find(|key| key.algorithm == algorithm)
            .map_or(Found::OtherAlgorithm, |key| Found::Key(Box::new(key.clone())))
    }

    /// Looks at the file until `shutdown`. One that cannot be used is reported once, and the last good keys stay.
    pub(crate) async fn keep_current(mut self, shutdown: CancellationToken) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let file = self.file.clone();
            let Ok(read) = tokio::task::spawn_blocking(move || fs::read(file)).await else { return };
            self.look(read);
        }
    }

    fn look(&mut self, read: io::Result<Vec<u8>>) {
        let file = self.file.display();
        // Nothing is there while one file takes another's place; what is there afterwards is seen the next time.
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) => return tracing::debug!(%file, %error, "the file of token keys cannot be read at the moment"),
        };
        if bytes == self.seen {
            return;
        }
        match understand(&bytes) {
            Ok(keys) => {
                tracing::info!(%file, keys = keys.len(), "new keys for tokens");
                self.current.store(Arc::new(keys));
            }
            Err(fault) => tracing::warn!(%file, %fault, "new keys for tokens cannot be used; the last good ones stay"),
        }
        self.seen = bytes;
    }
}

/// The keys of a set that can be used. Others are passed over, as RFC 7517 has it (section 5), but a secret one is a
/// mistake that somebody should hear of.
fn understand(bytes: &[u8]) -> Result<Vec<TokenKey>, KeysFault> {
    let set: Set = serde_json::from_slice(bytes).map_err(|_| KeysFault::NoSet)?;
    let mut keys = Vec::new();
    for (index, value) in set.keys.into_iter().enumerate() {
        if value.get("kty").is_some_and(|kind| kind == "oct") || value.get("d").is_some() || value.get("k").is_some() {
            return Err(KeysFault::Secret(index + 1));
        }
        keys.extend(serde_json::from_value(value).ok().and_then(|key| usable(&key)));
    }
    if keys.is_empty() { Err(KeysFault::Nothing) } else { Ok(keys) }
}

/// A key that signs, by the algorithm that it says or by the only one that it can be for; RSA that does not say is RS256.
fn usable(key: &Jwk) -> Option<TokenKey> {
    let signs = key.common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature);
    let possible: &[Algorithm] = match &key.algorithm {
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => &[Algorithm::EdDSA],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => &[Algorithm::ES256],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => &[Algorithm::ES384],
        AlgorithmParameters::RSA(key) if key.n.len() * 3 / 4 >= RSA_LEAST => &[
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
        ],
        _ => return None,
    };
    let algorithm = match key.common.key_algorithm {
        None => *possible.first()?,
        Some(said) => said.to_string().parse().ok()?,
    };
    let decoding = DecodingKey::from_jwk(key).ok()?;
    let fits = signs && possible.contains(&algorithm);
    fits.then(|| TokenKey { kid: key.common.key_id.clone(), algorithm, key: decoding })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn public(algorithm: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
        let made = rcgen::KeyPair::generate_for(algorithm).expect("a key");
        rcgen::PublicKeyData::der_bytes(&made).to_vec()
    }

    /// An Ed25519 key under a name.
    fn key(kid: &str) -> Value {
        let bytes = public(&rcgen::PKCS_ED25519);
        let key = DecodingKey::from_ed_der(&bytes);
        let mut jwk = serde_json::to_value(Jwk::from_decoding_key(&key, None).expect("a JWK")).expect("JSON");
        jwk["kid"] = kid.into();
        jwk
    }

    fn understood(set: &Value) -> Result<usize, KeysFault> {
        understand(set.to_string().as_bytes()).map(|keys| keys.len())
    }

    #[test]
    fn secrets_are_refused_and_strangers_passed_over() {
        let (good, mut private, mut encrypting, mut other) = (key("a"), key("b"), key("c"), key("d"));
        private["d"] = "AAAA".into();
        encrypting["use"] = "enc".into();
        other["alg"] = "ES256".into();
        assert_eq!(understood(&json!({"keys": [good, encrypting, other, {"kty": "XYZ"}, 7]})), Ok(1));
        assert_eq!(understood(&json!({"keys": [good, private]})), Err(KeysFault::Secret(2)));
        assert_eq!(understood(&json!({"keys": [{"kty": "oct", "k": "AAAA"}]})), Err(KeysFault::Secret(1)));
        let short = json!({"kty": "RSA", "n": "A".repeat(170), "e": "AQAB", "alg": "RS256"});
        assert_eq!(understood(&json!({"keys": [short]})), Err(KeysFault::Nothing), "1,024 bits");
        assert_eq!(understood(&json!({"keys": []})), Err(KeysFault::Nothing));
        for nothing in [json!([]), json!({"key": []}), json!({"keys": "a"})] {
            assert_eq!(understood(&nothing), Err(KeysFault::NoSet), "{nothing}");
        }
        assert_eq!(understand(b"-----BEGIN PUBLIC KEY-----").err(), Some(KeysFault::NoSet));
    }

    #[test]
    fn a_new_set_is_taken_and_a_bad_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("keys.json");
        let write = |set: &Value| fs::write(&file, set.to_string()).expect("written");
        assert!(matches!(TokenKeys::read(file.clone()), Err(TokenKeysError::File { .. })));
        write(&json!({"keys": []}));
        assert!(matches!(TokenKeys::read(file.clone()), Err(TokenKeysError::Unusable { .. })));
        write(&json!({"keys": [key("old")]}));
        let mut keys = TokenKeys::read(file.clone()).expect("a set");
        let is_known = |keys: &TokenKeys, kid: &str| matches!(keys.find(Some(kid), Algorithm::EdDSA), Found::Key(_));
        assert!(is_known(&keys, "old") && !is_known(&keys, "new"));
        assert!(matches!(keys.find(None, Algorithm::EdDSA), Found::Key(_)), "the only one");
        assert!(matches!(keys.find(Some("old"), Algorithm::HS256), Found::OtherAlgorithm));

        write(&json!({"keys": [key("new"), key("newer")]}));
        keys.look(fs::read(&file));
        assert!(is_known(&keys, "new") && is_known(&keys, "newer") && !is_known(&keys, "old"));
        assert!(matches!(keys.find(None, Algorithm::EdDSA), Found::Nothing), "which of the two?");
        write(&json!({"keys": []}));
        keys.look(fs::read(&file));
        fs::remove_file(&file).expect("removed");
        keys.look(fs::read(&file));
        assert!(is_known(&keys, "new"), "the last good ones stay");
    }
}
