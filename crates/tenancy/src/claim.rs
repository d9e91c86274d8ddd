//! Who a client says it is, and who it has proven to be.

use std::sync::Arc;

use catalog::{RouteKey, Routes, TenantRoute};
use domain::{Access, Slug, TenantId};
use time::OffsetDateTime;
use wire::scram::Verifier;

use crate::proof::Proof;
use crate::{Refusal, Tokens};

/// All that a client on the PostgreSQL wire says of who it is.
#[derive(Debug, Clone, Copy)]
pub struct Words<'c> {
    /// The user name: a slug, or `label.slug`, where the label is the client's own.
    pub user: &'c str,
    /// What the host name that it asked for says in the place of a slug, if that says anything.
    pub server_name: Option<&'c str>,
    /// The startup option for the slug, if it was given.
    pub option: Option<&'c str>,
}

/// A tenant that a client named. Nothing is proven yet, and nothing can be reached from here.
#[derive(Debug)]
pub struct Claim {
    route: Arc<TenantRoute>,
    app: Option<String>,
    label: Option<String>,
    /// Keys valid at the time of the claim, so that indexes mean the same before and after the exchange.
    keys: Vec<RouteKey>,
}

/// A tenant that a client has proven to belong to: there are no other ways to make one than [`Claim::proven`],
/// [`Claim::with_key`] and [`Claim::with_token`].
#[derive(Debug)]
pub struct Identity {
    pub(crate) route: Arc<TenantRoute>,
    pub(crate) app: Option<String>,
    pub(crate) label: Option<String>,
    pub(crate) proof: Proof,
    pub(crate) access: Access,
}

impl Claim {
    /// Whom a client's words mean, which must not contradict each other. A user name of one word means nobody, and is a
    /// label, where something else says the tenant and no tenant has that name.
    pub(crate) fn understand(routes: &Routes, words: &Words<'_>, app: &str) -> Result<Self, Refusal> {
        let (mut label, user) = match words.user.rsplit_once('.') {
            Some((label, slug)) => (Some(label), slug),
            None => (None, words.user),
        };
        let by_option = words.option.map(|slug| ("startup option", slug));
        let by_host = words.server_name.map(|slug| ("host name", slug));
        let disagree = |one: (&'static str, &str), other: (&'static str, &str)| Refusal::Disagreement {
            one: one.0,
            says: shown(one.1),
            other: other.0,
            means: shown(other.1),
        };
        if let (Some(one), Some(other)) = (by_option, by_host)
            && one.1 != other.1
        {
            return Err(disagree(one, other));
        }
        let slug = match by_option.or(by_host) {
            None => user,
            Some((_, slug)) if slug == user => slug,
            Some(said) => {
                if label.is_some() || user.parse().is_ok_and(|slug| routes.by_slug(&slug).is_some()) {
                    return Err(disagree(("user name", user), said));
                }
                label = Some(user);
                said.1
            }
        };
        let mut claim = Self::find(routes, slug, Some(app))?;
        claim.label = label.map(shown);
        Ok(claim)
    }

    pub(crate) fn find(routes: &Routes, name: &str, app: Option<&str>) -> Result<Self, Refusal> {
        let route = name
            .parse::<Slug>()
            .ok()
            .and_then(|slug| routes.by_slug(&slug))
            .ok_or_else(|| Refusal::UnknownTenant(shown(name)))?;
        let now = OffsetDateTime::now_utc();
        let keys = route.keys.iter().filter(|key| key.expires_at.is_none_or(|end| now < end)).cloned().collect();
        Ok(Self { route, app: app.map(shown), label: None, keys })
    }

    /// Which tenant that is.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.route.id
    }

    /// The tenant that was named.
    #[must_use]
    pub fn slug(&self) -> &Slug {
        &self.route.slug
    }

    /// The salt of the tenant's keys, for SCRAM's first answer.
    #[must_use]
    pub fn salt(&self) -> &[u8] {
        &self.route.salt
    }

    /// The iterations of the tenant's verifiers, for SCRAM's first answer.
    #[must_use]
    pub fn iterations(&self) -> u32 {
        self.keys.first().map_or(catalog::SCRAM_ITERATIONS, |key| key.verifier.iterations())
    }

    /// What a proof may fit: one verifier for each valid key.
    #[must_use]
    pub fn verifiers(&self) -> Vec<&Verifier> {
        self.keys.iter().map(|key| &key.verifier).collect()
    }

    /// The identity of whoever proved to hold the key at `index` of [`Claim::verifiers`]; `None` past its end.
    #[must_use]
    pub fn proven(self, index: usize) -> Option<Identity> {
        let key = self.keys.get(index)?;
        Some(Identity {
            proof: Proof::Key(key.id),
            access: key.access,
            route: self.route,
            app: self.app,
            label: self.label,
        })
    }

    /// The identity of whoever sent a key in the clear, as HTTP clients do. Costs one PBKDF2.
    pub fn with_key(self, secret: &str) -> Result<Identity, Refusal> {
        let slug = self.route.slug.clone();
        // All keys share salt and iterations, so one derivation serves to compare with each.
        let derived = Verifier::derive(secret, self.salt(), self.iterations());
        let index = self.keys.iter().position(|key| key.verifier == derived);
        index.and_then(|index| self.proven(index)).ok_or(Refusal::WrongKey(slug))
    }

    /// The identity of whoever sent a token of an issuer that is believed here, by a way on which nobody else could read it.
    pub fn with_token(self, tokens: &Tokens, token: &[u8]) -> Result<Identity, Refusal> {
        let vouched = tokens.check(token, &self.route.slug, self.route.id, OffsetDateTime::now_utc());
        let (access, lapse) = vouched.map_err(|fault| Refusal::BadToken { slug: self.route.slug.clone(), fault })?;
        Ok(Identity { proof: Proof::Token(lapse), access, route: self.route, app: self.app, label: self.label })
    }
}

/// What a client sent, short enough to be shown and logged.
fn shown(name: &str) -> String {
    name.chars().take(Slug::MAX_LEN).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
