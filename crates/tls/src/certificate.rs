//! What a server proves itself with.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;

use crate::end_point::end_point;
use crate::{ALPN, provider};

/// A certificate, what it was signed by, and its private key. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Certificate {
    config: Arc<ServerConfig>,
    end_point: Option<Arc<[u8]>>,
}

/// Why a server cannot prove itself with these two.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// No certificate in the text that should hold some.
    #[error("there is no certificate in it; a PEM file with the server's own certificate first is needed")]
    NoCertificate,
    /// Something in it is not PEM.
    #[error("its PEM is damaged; write the file again")]
    BadPem,
    /// No private key in the text that should hold one, or one of another kind.
    #[error("there is no private key in it; an unencrypted PEM file in PKCS #8, PKCS #1 or SEC1 is needed")]
    NoKey,
    /// The two do not fit, or are of a kind that is not known.
    #[error("certificate and key cannot be used together ({0}); give a certificate and the key that it was made for")]
    Unusable(#[from] rustls::Error),
}

impl Certificate {
    /// Reads a chain of certificates, the server's own first, and its key. Both are PEM.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(|_| CertificateError::BadPem)?;
        let own = chain.first().ok_or(CertificateError::NoCertificate)?;
        let end_point = end_point(own).map(Arc::from);
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| CertificateError::NoKey)?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // Clients of databases stay, and their drivers resume nothing: tickets would be made for nobody.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self { config: Arc::new(config), end_point })
    }

    /// What a client's proof is bound to (RFC 5929, section 4); none for a certificate that has no such thing.
    #[must_use]
    pub fn end_point(&self) -> Option<&[u8]> {
        self.end_point.as_deref()
    }

    pub(crate) fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_that_does_not_fit_is_refused() {
        let [one, other] =
            [(); 2].map(|()| rcgen::generate_simple_self_signed(["db.example".to_owned()]).expect("a certificate"));
        let (pem, key) = (one.cert.pem(), one.signing_key.serialize_pem());
        let whole = Certificate::from_pem(pem.as_bytes(), key.as_bytes()).expect("a pair");
        assert_eq!(whole.end_point().map(<[u8]>::len), Some(32), "SHA-256 of an ECDSA certificate");

        let foreign = other.signing_key.serialize_pem();
        let error = Certificate::from_pem(pem.as_bytes(), foreign.as_bytes()).expect_err("another's key");
        assert!(matches!(error, CertificateError::Unusable(_)), "{error}");
        let error = Certificate::from_pem(key.as_bytes(), key.as_bytes()).expect_err("no certificate");
        assert!(matches!(error, CertificateError::NoCertificate), "{error}");
        let error = Certificate::from_pem(pem.as_bytes(), pem.as_bytes()).expect_err("no key");
        assert!(matches!(error, CertificateError::NoKey), "{error}");
        let half = &pem.as_bytes()[..pem.len() / 2];
        assert!(Certificate::from_pem(half, key.as_bytes()).is_err(), "a file that is being written");
    }
}
