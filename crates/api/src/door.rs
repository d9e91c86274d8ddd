//! What handlers share.

use std::sync::Arc;

use audit::Auditor;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use catalog::Catalog;
use lifecycle::Lifecycle;
use tenancy::Threshold;

use crate::Board;

/// What handlers work with. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Door {
    /// Reads of control data.
    pub catalog: Catalog,
    /// Changes of it.
    pub lifecycle: Lifecycle,
    /// The way of tenants' own requests.
    pub threshold: Threshold,
    /// Tests of the isolation.
    pub auditor: Auditor,
    /// Who is an operator.
    pub admin: AdminToken,
    /// Which tenants have metrics of their own.
    pub board: Arc<Board>,
    /// What connection strings point to.
    pub gateway: GatewayAddress,
}

/// The operators' bearer token, kept as a hash, so that neither memory dumps nor logs hold it.
#[derive(Debug, Clone)]
pub struct AdminToken(Arc<[u8]>);

impl AdminToken {
    /// Remembers a token.
    #[must_use]
    pub fn new(token: &str) -> Self {
        Self(Arc::from(digest(&SHA256, token.as_bytes()).as_ref()))
    }

    /// Whether this is the token; takes the same time for every wrong one.
    #[must_use]
    pub fn is(&self, token: &str) -> bool {
        verify_slices_are_equal(&self.0, digest(&SHA256, token.as_bytes()).as_ref()).is_ok()
    }
}

/// Where clients find the gateway.
#[derive(Debug, Clone)]
pub struct GatewayAddress {
    /// Host name or address, as clients write it.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// It speaks TLS, and so connection strings ask for it.
    pub tls: bool,
}

impl GatewayAddress {
    /// A connection string that works as it is. Slug, app and key hold nothing that a URI would have to escape.
    #[must_use]
    pub fn dsn(&self, slug: &domain::Slug, key: &str, app: &domain::AppName) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        // Whether a client knows who signed the certificate is not known here, so it is not asked to check that.
        let further = if self.tls { "?sslmode=require" } else { "" };
        format!("postgresql://{slug}:{key}@{host}:{}/{app}{further}", self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_is_the_token() {
        let token = AdminToken::new("secret");
        assert!(token.is("secret"));
        for wrong in ["", "Secret", "secret ", "secre"] {
            assert!(!token.is(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_dsn_names_tenant_key_gateway_and_app() {
        let (slug, app) = ("acme".parse().expect("slug"), "petshop".parse().expect("app"));
        let dsn = |host: &str, tls| GatewayAddress { host: host.to_owned(), port: 6432, tls }.dsn(&slug, "sk_x", &app);
        assert_eq!(dsn("127.0.0.1", false), "postgresql://acme:sk_x@127.0.0.1:6432/petshop");
        assert_eq!(dsn("::1", true), "postgresql://acme:sk_x@[::1]:6432/petshop?sslmode=require");
    }
}
