//! What is stored of a secret so that its holder can prove it.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use aws_lc_rs::{constant_time, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{KEY_LEN, MECHANISM, hmac, sha256};

/// `StoredKey` and `ServerKey` of one secret, with the salt and the iteration count that lead there (RFC 5802, section 3).
///
/// Text form is PostgreSQL's own, so that the same value serves `ALTER ROLE … PASSWORD`:
/// `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, binary parts in base64. It is not the secret, but
/// `ServerKey` lets its holder pose as the server, and a weak secret can be guessed from it: treat it as confidential.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: [u8; KEY_LEN],
    server_key: [u8; KEY_LEN],
}

impl Verifier {
    /// Most iterations that a stored verifier may ask for. Its cost is the client's at login but ours in
    /// [`Verifier::matches`]; PostgreSQL's default is 4096.
    pub const MAX_ITERATIONS: u32 = 1_000_000;

    /// Bytes in the longest salt; PostgreSQL uses 16.
    pub const MAX_SALT_LEN: usize = 64;

    /// Works out the verifier of a secret. Takes milliseconds with 4096 iterations, by design. Zero iterations count as
    /// one, PBKDF2 having nothing less.
    ///
    /// Secrets are taken as they are, without `SASLprep` (RFC 4013): it changes nothing in printable ASCII, which is what
    /// síndico's keys and role passwords are made of.
    #[must_use]
    pub fn derive(secret: impl AsRef<[u8]>, salt: &[u8], iterations: u32) -> Self {
        let salted = salted(secret.as_ref(), salt, iterations);
        Self {
            iterations: iterations.max(1),
            salt: salt.to_vec(),
            stored_key: sha256(&hmac(&salted, b"Client Key")),
            server_key: hmac(&salted, b"Server Key"),
        }
    }

    /// Whether this is the secret, for doors where it arrives in the clear (a bearer token). Takes as long as
    /// [`Verifier::derive`] and compares in constant time.
    #[must_use]
    pub fn matches(&self, secret: impl AsRef<[u8]>) -> bool {
        let offered = Self::derive(secret, &self.salt, self.iterations);
        constant_time::verify_slices_are_equal(&offered.stored_key, &self.stored_key).is_ok()
    }

    /// Rounds of PBKDF2.
    #[must_use]
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// The salt, raw.
    #[must_use]
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// Whether a client's proof over this exchange was made with the secret (RFC 5802, section 3): the client's
    /// signature taken off the proof must leave the key whose hash is stored.
    pub(super) fn proves(&self, auth_message: &[u8], proof: &[u8; KEY_LEN]) -> bool {
        let mut client_key = hmac(&self.stored_key, auth_message);
        for (key, proof) in client_key.iter_mut().zip(proof) {
            *key ^= proof;
        }
        constant_time::verify_slices_are_equal(&sha256(&client_key), &self.stored_key).is_ok()
    }

    /// The server's own proof, which the client checks.
    pub(super) fn server_signature(&self, auth_message: &[u8]) -> [u8; KEY_LEN] {
        hmac(&self.server_key, auth_message)
    }
}

/// `SaltedPassword` (RFC 5802, section 3).
pub(super) fn salted(secret: &[u8], salt: &[u8], iterations: u32) -> [u8; KEY_LEN] {
    let mut salted = [0; KEY_LEN];
    let rounds = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt, secret, &mut salted);
    salted
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{MECHANISM}${}:{}${}:{}",
            self.iterations,
            STANDARD.encode(&self.salt),
            STANDARD.encode(self.stored_key),
            STANDARD.encode(self.server_key)
        )
    }
}

/// Text that is no verifier in PostgreSQL's form. The text itself is left out of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "stored verifier is malformed: {0}; it must read SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>, so issue a \
     new key in its place"
)]
pub struct InvalidVerifier(&'static str);

impl FromStr for Verifier {
    type Err = InvalidVerifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text
            .strip_prefix(MECHANISM)
            .and_then(|rest| rest.strip_prefix('$'))
            .ok_or(InvalidVerifier("it does not start with SCRAM-SHA-256$"))?;
        let (parameters, keys) = rest.split_once('$').ok_or(InvalidVerifier("its keys are missing"))?;
        let (iterations, salt) = parameters.split_once(':').ok_or(InvalidVerifier("its salt is missing"))?;
        let (stored_key, server_key) = keys.split_once(':').ok_or(InvalidVerifier("its ServerKey is missing"))?;

        let iterations = iterations
            .parse()
            .ok()
            .filter(|count| (1..=Self::MAX_ITERATIONS).contains(count))
            .ok_or(InvalidVerifier("its iteration count is not a number from 1 to 1000000"))?;
        let salt = STANDARD
            .decode(salt)
            .ok()
            .filter(|salt| (1..=Self::MAX_SALT_LEN).contains(&salt.len()))
            .ok_or(InvalidVerifier("its salt is not 1 to 64 bytes in base64"))?;
        let key = |text: &str| STANDARD.decode(text).ok().and_then(|bytes| <[u8; KEY_LEN]>::try_from(bytes).ok());
        Ok(Self {
            iterations,
            salt,
            stored_key: key(stored_key).ok_or(InvalidVerifier("its StoredKey is not 32 bytes in base64"))?,
            server_key: key(server_key).ok_or(InvalidVerifier("its ServerKey is not 32 bytes in base64"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_survives_the_round_trip() {
        let verifier = Verifier::derive("pencil", b"0123456789abcdef", 4096);
        assert_eq!(verifier.to_string().parse(), Ok(verifier.clone()));
        assert!(verifier.matches("pencil"));
        assert!(!verifier.matches("pencils"));
        assert!(!format!("{verifier:?}").contains(&STANDARD.encode(verifier.server_key)));
    }

    #[test]
    fn the_text_form_is_the_one_postgresql_understands() {
        // `postgres_protocol` derives what a client sends to PostgreSQL in `ALTER ROLE … PASSWORD`; its salt is random.
        let theirs = postgres_protocol::password::scram_sha_256(b"pencil");
        let parsed: Verifier = theirs.parse().expect("a verifier in PostgreSQL's form");
        assert_eq!(Verifier::derive("pencil", parsed.salt(), parsed.iterations()).to_string(), theirs);
    }

    #[test]
    fn malformed_text_is_refused_by_its_fault() {
        let good = Verifier::derive("x", b"salt", 1).to_string();
        for (bad, fault) in [
            (String::new(), "start"),
            ("md5abc".to_owned(), "start"),
            (good.replace("$1:", "$0:"), "iteration"),
            (good.replace("$1:", "$4294967295:"), "iteration"),
            (good.replace("$1:", "$1"), "salt"),
            (good.replace("c2FsdA==", "c2FsdA"), "salt"),
            (good[..good.len() - 4].to_owned(), "ServerKey"),
        ] {
            let refusal = bad.parse::<Verifier>().expect_err(&bad).to_string();
            assert!(refusal.contains(fault), "{bad}: {refusal}");
        }
    }
}
