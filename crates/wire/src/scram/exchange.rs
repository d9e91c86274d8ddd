//! The four messages of a login.

use std::str;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{KEY_LEN, Verifier};

/// Bytes in the longest message taken from a client. Drivers stay below 200.
const MAX_MESSAGE_LEN: usize = 2048;

/// Bytes in the longest nonce taken from a client; drivers send 18 to 32.
const MAX_CLIENT_NONCE_LEN: usize = 256;

/// The name of the one channel binding that is known here (RFC 5929, section 4), as `p=` and `c=` have it.
const BINDING: &str = "p=tls-server-end-point";

/// What the client's proof can be bound to, so that it is worth nothing on any other connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel<'c> {
    /// Nothing: the connection is not encrypted, or its certificate has no `tls-server-end-point`.
    Unbound,
    /// The client was offered [`super::MECHANISM_PLUS`] and chose [`super::MECHANISM`].
    Declined,
    /// The client chose [`super::MECHANISM_PLUS`]. This is the server's `tls-server-end-point`.
    Bound(&'c [u8]),
}

/// Why a login failed. Only [`ScramError::Proof`] is a wrong secret; the others are clients that break the protocol or
/// ask for what is not offered, or somebody between them and us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    /// A message that RFC 5802, section 7, does not allow.
    #[error("SCRAM message is malformed: {0}; the client or something between has altered it")]
    Malformed(&'static str),
    /// The client insists on something that this server did not offer.
    #[error("SCRAM client asks for {0}, which this server does not offer; turn it off in the client")]
    Unsupported(&'static str),
    /// The client could bind its proof to the channel and was not offered to, although it was offered.
    #[error(
        "SCRAM client saw no channel binding on offer, which there is; somebody between may have taken it away, so check \
         what the connection passes through"
    )]
    Downgraded,
    /// The client is bound to another channel than this one.
    #[error(
        "SCRAM channel binding does not match; the client talks to another certificate than this server's, so check \
         what the connection passes through"
    )]
    OtherChannel,
    /// No candidate's secret made this proof.
    #[error("SCRAM proof does not match any valid key; check the password")]
    Proof,
}

/// A login after the client's first message: holds what both sides sign.
#[derive(Debug)]
pub struct Exchange {
    /// `client-first-message-bare,server-first-message`: the start of what is signed.
    signed: String,
    /// The GS2 header as the client must repeat it in `c=`, followed by what it is bound to, in base64.
    binding: String,
    /// The client is bound to a channel.
    bound: bool,
    /// Client's and server's nonce in one.
    nonce: String,
}

impl Exchange {
    /// Reads `client-first-message` and answers `server-first-message`.
    ///
    /// `server_nonce` must be fresh from a strong generator for every login: 18 bytes or more of printable ASCII without
    /// commas. It is a parameter so that the RFC's vectors can be replayed.
    pub fn start(
        client_first: &[u8],
        channel: Channel<'_>,
        salt: &[u8],
        iterations: u32,
        server_nonce: &str,
    ) -> Result<(Self, Vec<u8>), ScramError> {
        let message = text(client_first)?;
        let mut parts = message.splitn(3, ',');
        let flag = parts.next().unwrap_or_default();
        match (flag, channel) {
            (BINDING, Channel::Bound(_)) | ("n", Channel::Unbound | Channel::Declined) | ("y", Channel::Unbound) => {}
            // It could bind to a channel, and believes that we could not (RFC 5802, section 6).
            ("y", Channel::Declined) => return Err(ScramError::Downgraded),
            ("n" | "y", Channel::Bound(_)) => {
                return Err(ScramError::Malformed("its channel binding flag contradicts its mechanism"));
            }
            (BINDING, _) => return Err(ScramError::Unsupported("channel binding")),
            _ if flag.starts_with("p=") => return Err(ScramError::Unsupported("another kind of channel binding")),
            _ => return Err(ScramError::Malformed("its channel binding flag is unknown")),
        }
        match parts.next() {
            Some("") => {}
            Some(_) => return Err(ScramError::Unsupported("an authorization identity")),
            None => return Err(ScramError::Malformed("it ends after the channel binding flag")),
        }
        let bare = parts.next().ok_or(ScramError::Malformed("it ends after the GS2 header"))?;
        let mut attributes = bare.split(',');
        match attributes.next() {
            // The name is empty or a dummy in PostgreSQL's use; the startup message has already said who it is.
            Some(name) if name.starts_with("n=") => {}
            Some(name) if name.starts_with("m=") => return Err(ScramError::Unsupported("a mandatory extension")),
            _ => return Err(ScramError::Malformed("it has no user name")),
        }
        let client_nonce = attributes
            .next()
            .and_then(|attribute| attribute.strip_prefix("r="))
            .filter(|nonce| (1..=MAX_CLIENT_NONCE_LEN).contains(&nonce.len()))
            .filter(|nonce| nonce.bytes().all(|byte| byte.is_ascii_graphic()))
            .ok_or(ScramError::Malformed("its nonce is missing, too long or not printable"))?;

        let nonce = format!("{client_nonce}{server_nonce}");
        let server_first = format!("r={nonce},s={},i={iterations}", STANDARD.encode(salt));
        let mut binding = format!("{flag},,").into_bytes();
        let bound = if let Channel::Bound(end_point) = channel { Some(end_point) } else { None };
        binding.extend_from_slice(bound.unwrap_or_default());
        let exchange = Self {
            signed: format!("{bare},{server_first}"),
            binding: STANDARD.encode(binding),
            bound: bound.is_some(),
            nonce,
        };
        Ok((exchange, server_first.into_bytes()))
    }

    /// Reads `client-final-message`, finds whose secret made the proof, and answers `server-final-message`.
    ///
    /// Every candidate is tried, in constant time each, even after one has matched: how long it takes tells how many keys
    /// a tenant has, not which one it was. Candidates with another salt or iteration count than the one given to
    /// [`Exchange::start`] cannot match.
    pub fn finish(self, client_final: &[u8], candidates: &[&Verifier]) -> Result<(usize, Vec<u8>), ScramError> {
        let message = text(client_final)?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(ScramError::Malformed("its proof is missing"))?;
        let mut attributes = without_proof.split(',');
        let binding = attributes
            .next()
            .and_then(|attribute| attribute.strip_prefix("c="))
            .ok_or(ScramError::Malformed("its channel binding is missing"))?;
        if binding != self.binding {
            if self.bound {
                return Err(ScramError::OtherChannel);
            }
            return Err(ScramError::Malformed("its channel binding is not the one it began with"));
        }
        let nonce = attributes
            .next()
            .and_then(|attribute| attribute.strip_prefix("r="))
            .ok_or(ScramError::Malformed("its nonce is missing"))?;
        if nonce != self.nonce {
            return Err(ScramError::Malformed("its nonce is not the one of this login"));
        }
        let proof: [u8; KEY_LEN] = STANDARD
            .decode(proof)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(ScramError::Malformed("its proof is not 32 bytes in base64"))?;

        let auth_message = format!("{},{without_proof}", self.signed);
        let mut proven = None;
        for (index, candidate) in candidates.iter().enumerate() {
            if candidate.proves(auth_message.as_bytes(), &proof) {
                proven = proven.or(Some((index, *candidate)));
            }
        }
        let (index, verifier) = proven.ok_or(ScramError::Proof)?;
        let signature = STANDARD.encode(verifier.server_signature(auth_message.as_bytes()));
        Ok((index, format!("v={signature}").into_bytes()))
    }
}

fn text(message: &[u8]) -> Result<&str, ScramError> {
    if message.len() > MAX_MESSAGE_LEN {
        return Err(ScramError::Malformed("it is longer than 2048 bytes"));
    }
    str::from_utf8(message).map_err(|_| ScramError::Malformed("it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
    use proptest::prelude::*;

    use super::*;

    /// RFC 7677, section 3.
    const CLIENT_FIRST: &[u8] = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const SERVER_FIRST: &[u8] =
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const CLIENT_FINAL: &[u8] = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    const SERVER_FINAL: &[u8] = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn rfc_salt() -> Vec<u8> {
        STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64")
    }

    fn started() -> Exchange {
        Exchange::start(CLIENT_FIRST, Channel::Unbound, &rfc_salt(), 4096, SERVER_NONCE)
            .expect("the RFC's first message")
            .0
    }

    #[test]
    fn the_vectors_of_rfc_7677_hold() {
        let pencil = Verifier::derive("pencil", &rfc_salt(), 4096);
        let (exchange, server_first) = Exchange::start(CLIENT_FIRST, Channel::Unbound, &rfc_salt(), 4096, SERVER_NONCE)
            .expect("the RFC's first message");
        assert_eq!(server_first, SERVER_FIRST);
        assert_eq!(exchange.finish(CLIENT_FINAL, &[&pencil]), Ok((0, SERVER_FINAL.to_vec())));
    }

    #[test]
    fn one_of_several_keys_is_found_and_none_is_refused() {
        let [old, pencil, new] = ["old", "pencil", "new"].map(|secret| Verifier::derive(secret, &rfc_salt(), 4096));
        let found = started().finish(CLIENT_FINAL, &[&old, &pencil, &new]);
        assert_eq!(found, Ok((1, SERVER_FINAL.to_vec())));
        assert_eq!(started().finish(CLIENT_FINAL, &[&old, &new]), Err(ScramError::Proof));
        assert_eq!(started().finish(CLIENT_FINAL, &[]), Err(ScramError::Proof));
    }

    #[test]
    fn a_client_of_postgresql_logs_in() {
        let end_point = || ChannelBinding::tls_server_end_point(b"a hash".to_vec());
        let wrong = Err(ScramError::Proof);
        for (binding, channel, secret, expected) in [
            (ChannelBinding::unsupported(), Channel::Unbound, "right", Ok(())),
            (ChannelBinding::unrequested(), Channel::Unbound, "right", Ok(())),
            (ChannelBinding::unsupported(), Channel::Unbound, "wrong", wrong),
            (ChannelBinding::unsupported(), Channel::Declined, "right", Ok(())),
            (ChannelBinding::unrequested(), Channel::Declined, "right", Err(ScramError::Downgraded)),
            (end_point(), Channel::Bound(b"a hash"), "right", Ok(())),
            (end_point(), Channel::Bound(b"a hash"), "wrong", wrong),
            (end_point(), Channel::Bound(b"another"), "right", Err(ScramError::OtherChannel)),
            (end_point(), Channel::Unbound, "right", Err(ScramError::Unsupported("channel binding"))),
            (end_point(), Channel::Declined, "right", Err(ScramError::Unsupported("channel binding"))),
        ] {
            let verifier = Verifier::derive("right", b"some salt", 4096);
            let mut client = ScramSha256::new(secret.as_bytes(), binding);
            let outcome = Exchange::start(client.message(), channel, b"some salt", 4096, "the-server's-nonce")
                .and_then(|(exchange, server_first)| {
                    client.update(&server_first).expect("an answer that the client accepts");
                    let (index, server_final) = exchange.finish(client.message(), &[&verifier])?;
                    client.finish(&server_final).expect("a server that proves itself");
                    assert_eq!(index, 0);
                    Ok(())
                });
            assert_eq!(outcome, expected, "{secret} over {channel:?}");
        }
    }

    #[test]
    fn tampered_messages_are_refused() {
        let over =
            |channel, message: &str| Exchange::start(message.as_bytes(), channel, b"salt", 1, "nonce").map(|_| ());
        let start = |message: &str| over(Channel::Unbound, message);
        assert_eq!(start("p=tls-server-end-point,,n=,r=x"), Err(ScramError::Unsupported("channel binding")));
        for flag in ["n", "y"] {
            let refused = over(Channel::Bound(b"x"), &format!("{flag},,n=,r=x"));
            assert!(matches!(refused, Err(ScramError::Malformed(_))), "{refused:?}");
        }
        let unknown = Err(ScramError::Unsupported("another kind of channel binding"));
        assert_eq!(over(Channel::Bound(b"x"), "p=tls-unique,,n=,r=x"), unknown);
        assert_eq!(start("n,a=admin,n=,r=x"), Err(ScramError::Unsupported("an authorization identity")));
        assert_eq!(start("n,,m=x,n=,r=x"), Err(ScramError::Unsupported("a mandatory extension")));
        for malformed in ["", "n", "n,,", "z,,n=,r=x", "n,,n=", "n,,n=,r=", "n,,n=,r=\u{1}", "n,,r=x,n="] {
            assert!(matches!(start(malformed), Err(ScramError::Malformed(_))), "{malformed:?}");
        }
        assert!(matches!(start(&format!("n,,n=,r={}", "x".repeat(300))), Err(ScramError::Malformed(_))));
        assert!(matches!(start(&"n".repeat(3000)), Err(ScramError::Malformed(_))));

        let pencil = Verifier::derive("pencil", &rfc_salt(), 4096);
        let last = str::from_utf8(CLIENT_FINAL).expect("text");
        for tampered in [
            last.replace("c=biws", "c=eSws"),
            last.replace("k0,p=", "k1,p="),
            last.replace(",p=", ",q="),
            last.replace("ndVQ=", ""),
        ] {
            let refused = started().finish(tampered.as_bytes(), &[&pencil]);
            assert!(matches!(refused, Err(ScramError::Malformed(_))), "{tampered}: {refused:?}");
        }
        let extended = last.replace(",p=", ",x=1,p=");
        assert_eq!(started().finish(extended.as_bytes(), &[&pencil]), Err(ScramError::Proof));
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered_without_panic(first: Vec<u8>, last: Vec<u8>) {
            let _answer = Exchange::start(&first, Channel::Bound(b"x"), b"salt", 1, "nonce");
            prop_assert!(started().finish(&last, &[]).is_err());
        }
    }
}
