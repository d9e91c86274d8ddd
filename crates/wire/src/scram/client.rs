//! The four messages of a login from the client's side.
//!
//! What makes a login cost milliseconds is deriving keys from the password. They are the same for as long as the server keeps
//! salt and iteration count, so whoever logs in often keeps them (RFC 5802, section 5.1, allows it): see [`ClientKeys`].

use std::{fmt, str};

use aws_lc_rs::constant_time;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::verifier::salted;
use super::{KEY_LEN, hmac, sha256};

/// Bytes in the longest salt that is taken from a server; PostgreSQL uses 16.
const MAX_SALT_LEN: usize = 1024;

/// What the proof is bound to, so that it is worth nothing on any other connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding<'b> {
    /// Nothing: the connection is not encrypted.
    Impossible,
    /// Nothing, since the server has offered nothing to bind to. It knows whether that is true.
    NotOffered,
    /// The server's `tls-server-end-point` (RFC 5929, section 4).
    EndPoint(&'b [u8]),
}

/// A server's message that RFC 5802, section 7, does not allow, or a proof that it could not give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server's part of SCRAM is wrong: {0}; somebody may stand in its place")]
pub struct BadServer(&'static str);

/// A login that has begun.
#[derive(Debug)]
pub struct Opening {
    bare: String,
    nonce: String,
    /// The GS2 header and what the proof is bound to, in base64.
    binding: String,
}

/// What the server has asked for.
#[derive(Debug)]
pub struct Challenge {
    /// The first two messages, as they are signed.
    signed: String,
    nonce: String,
    binding: String,
    salt: Vec<u8>,
    iterations: u32,
}

/// A password with one server's salt and iteration count. It opens the same doors as the password.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientKeys {
    salt: Box<[u8]>,
    iterations: u32,
    client_key: [u8; KEY_LEN],
    server_key: [u8; KEY_LEN],
}

/// What the server has to answer to prove that it knows the password, too.
pub struct Expected([u8; KEY_LEN]);

impl Opening {
    /// Begins a login. The nonce must be fresh from a strong generator for every login: printable ASCII without commas.
    /// Gives `client-first-message`, too.
    #[must_use]
    pub fn new(binding: Binding<'_>, nonce: &str) -> (Self, String) {
        let (flag, end_point): (_, &[u8]) = match binding {
            Binding::Impossible => ("n", &[]),
            Binding::NotOffered => ("y", &[]),
            Binding::EndPoint(end_point) => ("p=tls-server-end-point", end_point),
        };
        let header = format!("{flag},,");
        // PostgreSQL knows the name from the startup message.
        let bare = format!("n=,r={nonce}");
        let first = format!("{header}{bare}");
        let binding = STANDARD.encode([header.as_bytes(), end_point].concat());
        (Self { bare, nonce: nonce.to_owned(), binding }, first)
    }

    /// Reads `server-first-message`.
    pub fn challenged(self, server_first: &[u8]) -> Result<Challenge, BadServer> {
        let message = str::from_utf8(server_first).map_err(|_| BadServer("it is not UTF-8"))?;
        let mut attributes = message.split(',');
        let mut attribute = |name: &str| attributes.next().and_then(|attribute| attribute.strip_prefix(name));
        let nonce = attribute("r=")
            .filter(|nonce| nonce.len() > self.nonce.len() && nonce.starts_with(&self.nonce))
            .ok_or(BadServer("its nonce does not continue ours"))?;
        let salt = attribute("s=")
            .and_then(|salt| STANDARD.decode(salt).ok())
            .filter(|salt| (1..=MAX_SALT_LEN).contains(&salt.len()))
            .ok_or(BadServer("its salt is missing or too long"))?;
        let iterations = attribute("i=")
            .and_then(|count| count.parse().ok())
            .filter(|count| *count > 0)
            .ok_or(BadServer("its iteration count is no number"))?;
        Ok(Challenge {
            signed: format!("{},{message}", self.bare),
            nonce: nonce.to_owned(),
            binding: self.binding,
            salt,
            iterations,
        })
    }
}

impl Challenge {
    /// Rounds of PBKDF2 that deriving the keys takes: the server's choice, which may be meant to keep us computing.
    #[must_use]
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// Derives the keys from a password. Takes milliseconds, by design. As with [`super::Verifier::derive`], passwords are
    /// taken as they are, without `SASLprep`.
    #[must_use]
    pub fn derive(&self, password: &str) -> ClientKeys {
        let salted = salted(password.as_bytes(), &self.salt, self.iterations);
        ClientKeys {
            salt: self.salt.as_slice().into(),
            iterations: self.iterations,
            client_key: hmac(&salted, b"Client Key"),
            server_key: hmac(&salted, b"Server Key"),
        }
    }

    /// Gives `client-final-message`, and what the server has to say to it.
    #[must_use]
    pub fn answer(self, keys: &ClientKeys) -> (Expected, String) {
        let without_proof = format!("c={},r={}", self.binding, self.nonce);
        let auth_message = format!("{},{without_proof}", self.signed);
        let mut proof = hmac(&sha256(&keys.client_key), auth_message.as_bytes());
        for (proof, key) in proof.iter_mut().zip(keys.client_key) {
            *proof ^= key;
        }
        let expected = Expected(hmac(&keys.server_key, auth_message.as_bytes()));
        (expected, format!("{without_proof},p={}", STANDARD.encode(proof)))
    }
}

impl ClientKeys {
    /// Whether they are what a server asks for.
    #[must_use]
    pub fn fit(&self, challenge: &Challenge) -> bool {
        *self.salt == *challenge.salt && self.iterations == challenge.iterations
    }
}

impl Expected {
    /// Reads `server-final-message`.
    pub fn check(self, server_final: &[u8]) -> Result<(), BadServer> {
        let signature = server_final.strip_prefix(b"v=").and_then(|signature| STANDARD.decode(signature).ok());
        let same = signature.is_some_and(|it| constant_time::verify_slices_are_equal(&it, &self.0).is_ok());
        if same { Ok(()) } else { Err(BadServer("it could not prove that it knows the password")) }
    }
}

impl fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientKeys").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl fmt::Debug for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Expected(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Channel, Exchange, Verifier};
    use super::*;

    /// RFC 7677, section 3, but for the user's name, which PostgreSQL leaves empty.
    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const SERVER_FIRST: &[u8] =
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    #[test]
    fn the_vectors_of_rfc_7677_hold() {
        let (mut opening, _) = Opening::new(Binding::Impossible, NONCE);
        opening.bare = format!("n=user,r={NONCE}");
        let challenge = opening.challenged(SERVER_FIRST).expect("the RFC's");
        let keys = challenge.derive("pencil");
        let (expected, last) = challenge.answer(&keys);
        assert_eq!(
            last,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(expected.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Ok(()));
    }

    #[test]
    fn keys_are_good_for_as_long_as_the_server_asks_for_the_same() {
        let log_in = |keys: Option<&ClientKeys>, salt: &[u8], binding: Binding<'_>, channel: Channel<'_>| {
            let verifier = Verifier::derive("right", salt, 10);
            let (opening, first) = Opening::new(binding, "client");
            let (exchange, server_first) =
                Exchange::start(first.as_bytes(), channel, salt, 10, "server").expect("a first message");
            let challenge = opening.challenged(&server_first).expect("a challenge");
            let derived = challenge.derive("right");
            let keys = keys.filter(|keys| keys.fit(&challenge)).cloned().unwrap_or(derived);
            let (expected, last) = challenge.answer(&keys);
            let (_, server_final) = exchange.finish(last.as_bytes(), &[&verifier]).expect("the right password");
            expected.check(&server_final).expect("the right server");
            keys
        };
        let keys = log_in(None, b"salt", Binding::Impossible, Channel::Unbound);
        assert_eq!(log_in(Some(&keys), b"salt", Binding::NotOffered, Channel::Unbound), keys);
        let bound = (Binding::EndPoint(b"a hash"), Channel::Bound(b"a hash"));
        assert_eq!(log_in(Some(&keys), b"salt", bound.0, bound.1), keys);
        assert_ne!(log_in(Some(&keys), b"another", bound.0, bound.1), keys, "derived anew");
        assert!(!format!("{keys:?}").contains(&format!("{:?}", keys.client_key)));
    }

    #[test]
    fn a_server_that_is_not_what_it_should_be_is_refused() {
        let open = || Opening::new(Binding::Impossible, "ours").0;
        for bad in [
            "",
            "r=ours,s=c2FsdA==,i=1",
            "r=theirs,s=c2FsdA==,i=1",
            "m=x,r=ours1,s=c2FsdA==,i=1",
            "r=ours1,s=,i=1",
            "r=ours1,s=!,i=1",
            "r=ours1,s=c2FsdA==",
            "r=ours1,s=c2FsdA==,i=0",
            "r=ours1,s=c2FsdA==,i=-1",
            "r=ours1,i=1,s=c2FsdA==",
        ] {
            open().challenged(bad.as_bytes()).expect_err(bad);
        }
        for bad in [&b"e=other-error"[..], b"v=", b"v=AAAA", b""] {
            let challenge = open().challenged(b"r=ours1,s=c2FsdA==,i=1").expect("a challenge");
            let keys = challenge.derive("x");
            challenge.answer(&keys).0.check(bad).expect_err("no proof");
        }
    }
}
