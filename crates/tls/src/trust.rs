//! How a server is reached, and what is asked of it before it is believed.

use std::hash::{Hash, Hasher};
use std::io;
use std::str::FromStr;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

use crate::encrypted::Encrypted;
use crate::verify::{Check, Verifier};
use crate::{ALPN, Socket, Stream, provider};

/// `SSLRequest` (PostgreSQL manual, 55.7), and the byte that grants it.
const REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
const GRANTED: u8 = b'S';

/// What a connection string's `sslmode` demands (PostgreSQL manual, 34.19.3). Those of libpq's that promise nothing are not
/// among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Demand {
    /// No encryption.
    Disable,
    /// Encryption, with anybody.
    Require,
    /// A certificate that is signed by somebody who is trusted.
    VerifyCa,
    /// And that names the host.
    VerifyFull,
}

impl FromStr for Demand {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "disable" => Ok(Self::Disable),
            "require" => Ok(Self::Require),
            "verify-ca" => Ok(Self::VerifyCa),
            "verify-full" => Ok(Self::VerifyFull),
            _ => Err(()),
        }
    }
}

/// What is asked of a server. Cheap to clone. Two that ask the same are equal.
#[derive(Debug, Clone)]
pub struct Trust {
    demand: Demand,
    /// Certificates in PEM; the system's where there are none.
    roots: Option<Arc<str>>,
    config: Option<Arc<ClientConfig>>,
}

/// Why a server's certificate could not be checked by what was given.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The text should hold certificates.
    #[error("there is no certificate in it that can be used; give those of who signs the server's, in PEM")]
    NoCertificate,
    /// The system trusts nobody.
    #[error("this system has no certificates of its own to check the server's by; name some in sslrootcert")]
    NoSystemRoots,
    /// The library found fault with it.
    #[error("TLS is not possible: {0}")]
    Unusable(#[from] rustls::Error),
}

impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        self.demand == other.demand && self.roots == other.roots
    }
}

impl Eq for Trust {}

impl Hash for Trust {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.demand, &self.roots).hash(state);
    }
}

impl Trust {
    /// Connects without encryption.
    #[must_use]
    pub const fn plain() -> Self {
        Self { demand: Demand::Disable, roots: None, config: None }
    }

    /// `roots` are the certificates in PEM that a server's has to be signed by, or be; without them, the system's.
    pub fn new(demand: Demand, roots: Option<&str>) -> Result<Self, TrustError> {
        let check = match demand {
            Demand::Disable => return Ok(Self::plain()),
            Demand::Require => Check::Nothing,
            Demand::VerifyCa | Demand::VerifyFull => {
                let named = match roots {
                    Some(pem) => named(pem)?,
                    None => Vec::new(),
                };
                let roots = if roots.is_some() { anchors(&named)? } else { system()? };
                Check::Signature { roots, named, name: demand == Demand::VerifyFull }
            }
        };
        let provider = provider();
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier { provider, check }))
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self { demand, roots: roots.map(Arc::from), config: Some(Arc::new(config)) })
    }

    /// What it asks for.
    #[must_use]
    pub const fn demand(&self) -> Demand {
        self.demand
    }

    pub(crate) fn config(&self) -> Option<&Arc<ClientConfig>> {
        self.config.as_ref()
    }

    /// Goes on encrypted over a connection that has just been opened to a PostgreSQL server, if that is asked for. The host is
    /// what the server has to be, by name or by address. Errors of the kind `InvalidData` are the server's doing, and not its
    /// network's. As with libpq, a Unix socket is never encrypted, whatever is asked for (PostgreSQL manual, 34.1.2).
    pub async fn secure(&self, socket: Socket, host: &str) -> io::Result<Stream> {
        let mut socket = match socket {
            Socket::Tcp(socket) => socket,
            Socket::Local(socket) => return Ok(Stream::Local(socket)),
        };
        let Some(config) = &self.config else { return Ok(Stream::Plain(socket)) };
        socket.write_all(&REQUEST).await?;
        // One byte and no more: what comes with it would have been said by anybody (CVE-2021-23222).
        let mut answer = [0];
        socket.read_exact(&mut answer).await?;
        if answer != [GRANTED] {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the server does not offer TLS"));
        }
        let tls = TlsConnector::from(Arc::clone(config)).connect(server_name(host)?, socket).await?;
        Ok(Stream::Encrypted(Box::new(Encrypted::new(tls.into()))))
    }
}

/// A host as certificates name it.
pub(crate) fn server_name(host: &str) -> io::Result<ServerName<'static>> {
    ServerName::try_from(host.to_owned()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

fn named(pem: &str) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    all.ok().filter(|all| !all.is_empty()).ok_or(TrustError::NoCertificate)
}

fn anchors(named: &[CertificateDer<'static>]) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    for certificate in named {
        roots.add(certificate.clone()).map_err(|_| TrustError::NoCertificate)?;
    }
    Ok(roots)
}

/// Those that the system trusts; some of a system's may be of a kind that is not known here.
fn system() -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if taken == 0 { Err(TrustError::NoSystemRoots) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use tokio::net::TcpListener;

    use super::*;
    use crate::{Address, Certificate};

    const HOST: &str = "127.0.0.1";

    /// What a server shows and the key to it, both in PEM.
    type Shown = (String, String);

    /// As `openssl req -x509` makes them: an authority of its own.
    fn authority() -> CertificateParams {
        let mut params = CertificateParams::new([HOST.to_owned()]).expect("a name");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    fn signing_itself(params: &CertificateParams) -> Shown {
        let key = KeyPair::generate().expect("a key");
        (params.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
    }

    /// A server that shows this, and what becomes of a connection to it.
    async fn meet((chain, key): &Shown, trust: &Trust, host: &str) -> io::Result<Stream> {
        let certificate = Certificate::from_pem(chain.as_bytes(), key.as_bytes()).expect("what a server can show");
        let listener = TcpListener::bind((HOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let server = async {
            let (mut socket, _) = listener.accept().await.expect("somebody comes");
            let mut request = [0; 8];
            socket.read_exact(&mut request).await.expect("a request");
            assert_eq!(request, REQUEST);
            socket.write_all(&[GRANTED]).await.expect("granted");
            let mut stream = Stream::Plain(socket);
            let _whatever_the_client_makes_of_it = stream.accept(&certificate).await;
        };
        let client = async { trust.secure(Address::Tcp(address).connect().await?, host).await };
        let ((), met) = tokio::join!(server, client);
        met
    }

    #[tokio::test]
    async fn a_server_proves_as_much_as_is_demanded() {
        let (itself, stranger) = (signing_itself(&authority()), signing_itself(&authority()));
        let expired = signing_itself(&{
            let mut params = authority();
            params.not_after = rcgen::date_time_ymd(1990, 1, 1);
            params
        });
        let plain = signing_itself(&CertificateParams::new([HOST.to_owned()]).expect("a name"));
        let root = CertifiedIssuer::self_signed(authority(), KeyPair::generate().expect("a key")).expect("an issuer");
        let key = KeyPair::generate().expect("a key");
        let signed = CertificateParams::new([HOST.to_owned()]).expect("a name").signed_by(&key, &root);
        let signed = (signed.expect("signed").pem(), key.serialize_pem());
        let root = root.pem();
        for (shown, demand, roots, host, accepted) in [
            (&stranger, Demand::Require, None, "elsewhere", true),
            (&itself, Demand::VerifyCa, Some(&itself.0), "elsewhere", true),
            (&itself, Demand::VerifyCa, Some(&stranger.0), HOST, false),
            (&itself, Demand::VerifyFull, Some(&itself.0), HOST, true),
            (&itself, Demand::VerifyFull, Some(&itself.0), "localhost", false),
            (&itself, Demand::VerifyFull, Some(&itself.0), "127.0.0.2", false),
            (&itself, Demand::VerifyFull, Some(&stranger.0), HOST, false),
            (&plain, Demand::VerifyFull, Some(&plain.0), HOST, true),
            (&expired, Demand::VerifyCa, Some(&expired.0), HOST, false),
            (&signed, Demand::VerifyCa, Some(&root), "elsewhere", true),
            (&signed, Demand::VerifyFull, Some(&root), HOST, true),
            (&signed, Demand::VerifyFull, Some(&root), "elsewhere", false),
            (&signed, Demand::VerifyFull, Some(&stranger.0), HOST, false),
        ] {
            let trust = Trust::new(demand, roots.map(String::as_str)).expect("what can be asked");
            let met = meet(shown, &trust, host).await;
            match met {
                Ok(stream) => assert!(accepted && stream.is_encrypted(), "{demand:?} of {host}"),
                Err(error) => {
                    assert!(!accepted, "{demand:?} of {host}: {error}");
                    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
                }
            }
        }
    }
}
