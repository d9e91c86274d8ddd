//! Which clients may go without encryption.

use std::net::IpAddr;
use std::str::FromStr;

use crate::fault::Fault;

/// From where clients may connect without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plaintext {
    /// From this machine only: by a loopback address, or by the one that it is reached at.
    Loopback,
    /// From anywhere: somebody else sees to it that nobody listens in.
    Anywhere,
    /// From nowhere.
    Nowhere,
}

impl Plaintext {
    /// Lets a client in that is not encrypted, or says why not. Asked before it is asked to prove anything.
    pub(crate) fn admit(self, from: IpAddr, to: IpAddr) -> Result<(), Fault> {
        let admitted = match self {
            Self::Loopback => from.to_canonical().is_loopback() || from == to,
            Self::Anywhere => true,
            Self::Nowhere => false,
        };
        if admitted {
            return Ok(());
        }
        Err(Fault::new(
            "28000",
            "connections without TLS are not accepted here",
            "Connect with sslmode=verify-full, or with sslmode=require if the certificate cannot be checked.",
        ))
    }
}

impl FromStr for Plaintext {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "loopback" => Ok(Self::Loopback),
            "anywhere" => Ok(Self::Anywhere),
            "nowhere" => Ok(Self::Nowhere),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_all_its_addresses() {
        let here = "192.0.2.7".parse().expect("an address");
        for (policy, address, admitted) in [
            (Plaintext::Loopback, "127.0.0.1", true),
            (Plaintext::Loopback, "127.8.0.1", true),
            (Plaintext::Loopback, "::1", true),
            (Plaintext::Loopback, "::ffff:127.0.0.1", true),
            (Plaintext::Loopback, "::ffff:10.0.0.1", false),
            (Plaintext::Loopback, "10.0.0.1", false),
            (Plaintext::Loopback, "192.0.2.7", true),
            (Plaintext::Loopback, "fe80::1", false),
            (Plaintext::Anywhere, "192.0.2.1", true),
            (Plaintext::Nowhere, "127.0.0.1", false),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(policy.admit(address, here).is_ok(), admitted, "{policy:?} {address}");
        }
    }
}
