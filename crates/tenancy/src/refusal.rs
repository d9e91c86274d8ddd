//! Why somebody does not get in.

use domain::{AppName, Slug};

use crate::TokenFault;

/// The threshold's answer to those it does not let in. The text is for the client; it tells nothing of other tenants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody of this name; slugs are subdomains, and so no secret.
    #[error("tenant \"{0}\" not found")]
    UnknownTenant(String),
    /// The client says of itself that it is two.
    #[error("the {one} names tenant \"{says}\" and the {other} names tenant \"{means}\"")]
    Disagreement {
        /// What says the one.
        one: &'static str,
        /// The one.
        says: String,
        /// What says the other.
        other: &'static str,
        /// The other.
        means: String,
    },
    /// The proof fits none of the tenant's valid keys. Wrong, revoked and expired are not told apart.
    #[error("password authentication failed for tenant \"{0}\"")]
    WrongKey(Slug),
    /// What was sent is no token that counts for this tenant.
    #[error("token authentication failed for tenant \"{slug}\": {fault}")]
    BadToken {
        /// Who was meant.
        slug: Slug,
        /// What is wrong with it.
        fault: TokenFault,
    },
    /// The token was good when the connection began.
    #[error("the token of this connection to tenant \"{0}\" has expired")]
    TokenExpired(Slug),
    /// The tenant uses another app.
    #[error("database \"{asked}\" does not exist for tenant \"{slug}\"")]
    WrongApp {
        /// Who asked.
        slug: Slug,
        /// What was asked for.
        asked: String,
        /// What there is.
        app: AppName,
    },
    /// Closed by an operator.
    #[error("tenant \"{0}\" is suspended")]
    Suspended(Slug),
    /// Not yet open.
    #[error("tenant \"{0}\" is still being created")]
    Provisioning(Slug),
    /// The key was good when the connection began.
    #[error("the key of this connection to tenant \"{0}\" was revoked")]
    KeyRevoked(Slug),
    /// Its schema was dropped.
    #[error("tenant \"{0}\" has no schema at the moment")]
    NoSchema(Slug),
    /// It was held for longer than its clients wait.
    #[error("tenant \"{0}\" is paused, and was not resumed in time")]
    Held(Slug),
    /// An operator ended this connection.
    #[error("an operator ended this connection to tenant \"{0}\"")]
    Ended(Slug),
    /// The tenant is to have no server connections for a while, and this client kept one.
    #[error("tenant \"{0}\" is paused, and this connection kept a server connection")]
    Yielded(Slug),
    /// As many connections as it may have.
    #[error("tenant \"{slug}\" already has {limit} connections, which is its limit")]
    TooManyConnections {
        /// Who asked.
        slug: Slug,
        /// How many it may have.
        limit: usize,
    },
    /// The tenant's cluster is not in the snapshot.
    #[error("the cluster of tenant \"{0}\" is not registered")]
    NoCluster(Slug),
    /// What the tenant's statements are read by could not be had; the log says why.
    #[error("tenant \"{0}\" cannot be served at the moment")]
    NoRules(Slug),
}

impl Refusal {
    /// The code on the PostgreSQL wire (PostgreSQL manual, appendix A).
    #[must_use]
    pub const fn sqlstate(&self) -> &'static str {
        match self {
            Self::UnknownTenant(_)
            | Self::Disagreement { .. }
            | Self::Suspended(_)
            | Self::BadToken { fault: TokenFault::OtherTenant, .. } => "28000",
            Self::WrongKey(_) | Self::KeyRevoked(_) | Self::BadToken { .. } => "28P01",
            Self::WrongApp { .. } => "3D000",
            Self::Provisioning(_) | Self::NoCluster(_) | Self::NoRules(_) | Self::Held(_) => "57P03",
            Self::Ended(_) | Self::Yielded(_) | Self::TokenExpired(_) => "57P01",
            Self::NoSchema(_) => "3F000",
            Self::TooManyConnections { .. } => "53300",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::UnknownTenant(_) => {
                "The user name is the tenant's slug; `sindico tenant list` shows them.".to_owned()
            }
            Self::Disagreement { .. } => {
                "Name the tenant once, or everywhere alike: by user name, host name or sindico.tenant.".to_owned()
            }
            Self::WrongKey(_) | Self::KeyRevoked(_) => {
                "The password is one of the tenant's keys, neither revoked nor expired; an operator can make a new one."
                    .to_owned()
            }
            Self::BadToken { .. } => {
                "Send a token for this tenant that is fresh from the issuer; what it has to say is set in [gateway.jwt]."
                    .to_owned()
            }
            Self::TokenExpired(_) => "Reconnect with a new token.".to_owned(),
            Self::WrongApp { app, .. } => format!("The database is the tenant's app: connect with dbname={app}."),
            Self::Suspended(slug) => {
                format!("Its data is untouched; an operator can reopen it with `sindico tenant resume {slug}`.")
            }
            Self::Provisioning(_) | Self::Held(_) => "Try again in a moment.".to_owned(),
            Self::Ended(_) => "Reconnect, unless the operator has asked for something else.".to_owned(),
            Self::Yielded(_) => "Reconnect; sindico.pool_mode=transaction makes this rarer.".to_owned(),
            Self::NoSchema(slug) => {
                format!("An operator can create it with POST /api/v1/tenants/{slug}/schema.")
            }
            Self::TooManyConnections { .. } => {
                "Close connections that are not in use, or let fewer clients connect at once.".to_owned()
            }
            Self::NoRules(_) => {
                "Try again in a moment; if it stays so, the operator finds the reason in the log.".to_owned()
            }
            Self::NoCluster(_) => {
                "An operator has to register the cluster again with `sindico cluster add`.".to_owned()
            }
        }
    }
}
