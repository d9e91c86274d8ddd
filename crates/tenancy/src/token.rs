//! Tokens of an issuer that is believed here (RFC 7519), and what one has to say to stand for a key.
//!
//! Which algorithm counts is said by the issuer's key and never by the token (RFC 8725, section 3.1).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{Access, Slug, TenantId};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Validation, decode, decode_header};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::proof::Lapse;
use crate::token_keys::{Found, TokenKeys, TokenKeysError};

/// What is asked of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSettings {
    /// Whose tokens count: what their `iss` says.
    pub issuer: String,
    /// For whom they have to be: what their `aud` says, or one of its members.
    pub audience: String,
    /// The claim that holds the tenant's slug or id.
    pub tenant_claim: String,
    /// The claim that says "read" or "write"; a token without it reads.
    pub access_claim: String,
    /// How far the issuer's clock may be from ours.
    pub leeway: Duration,
    /// For how long a transaction may go on that runs when its token ends.
    pub grace: Duration,
}

/// What judges tokens. Cheap to clone; all clones judge alike, by the keys that are in the file.
#[derive(Debug, Clone)]
pub struct Tokens {
    settings: Arc<TokenSettings>,
    keys: TokenKeys,
}

/// Why a token does not count. For the eyes of whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// Not three parts of base64 and JSON, an algorithm that nobody knows or that signs nothing, or longer than any.
    #[error("it is not a signed JWT")]
    Malformed,
    /// Longer than [`Tokens::MAX_LEN`].
    #[error("it is longer than 16 KiB")]
    TooLong,
    /// The `kid` is none of the issuer's, or is missing where the issuer has several keys.
    #[error("it names no key of the issuer that is known here")]
    UnknownKey,
    /// The issuer signs with this key by another algorithm.
    #[error("its algorithm is not that of the issuer's key")]
    Algorithm,
    /// Signed by somebody else, or changed.
    #[error("its signature is wrong")]
    Signature,
    /// A claim that has to be there is not, or is not what such a claim is.
    #[error("its claim \"{0}\" is missing or malformed")]
    Claim(&'static str),
    /// `iss`.
    #[error("it is from another issuer")]
    Issuer,
    /// `aud`.
    #[error("it is for another audience")]
    Audience,
    /// `exp`.
    #[error("it has expired")]
    Expired,
    /// `nbf`.
    #[error("it is not valid yet")]
    Early,
    /// The tenant is not said.
    #[error("it names no tenant")]
    NoTenant,
    /// The tenant is another than the client says.
    #[error("it is for another tenant")]
    OtherTenant,
    /// What may be done is not one of the two words.
    #[error("what it grants is neither \"read\" nor \"write\"")]
    Access,
}

/// Longer than any session lasts, and short enough for clocks to count.
const LONGEST: Duration = Duration::from_hours(87_600);

impl Tokens {
    /// Bytes of the longest token that is looked at.
    pub const MAX_LEN: usize = 16 * 1024;

    /// Reads the issuer's public keys from a file.
    pub fn read(settings: TokenSettings, keys: PathBuf) -> Result<Self, TokenKeysError> {
        Ok(Self { settings: Arc::new(settings), keys: TokenKeys::read(keys)? })
    }

    /// What is asked of them.
    #[must_use]
    pub fn settings(&self) -> &TokenSettings {
        &self.settings
    }

    /// Looks at the keys' file until `shutdown`.
    pub async fn keep_current(self, shutdown: CancellationToken) {
        self.keys.keep_current(shutdown).await;
    }

    /// What a token grants at a tenant, and until when.
    pub(crate) fn check(
        &self,
        token: &[u8],
        slug: &Slug,
        tenant: TenantId,
        now: OffsetDateTime,
    ) -> Result<(Access, Lapse), TokenFault> {
        if token.len() > Self::MAX_LEN {
            return Err(TokenFault::TooLong);
        }
        let claims = self.signed(token)?;
        let lasts = self.lasts(&claims, now)?;
        let named = claims.get(&self.settings.tenant_claim).and_then(Value::as_str).ok_or(TokenFault::NoTenant)?;
        // No slug looks like an id, so it can only be meant in one way.
        if named != slug.as_str() && named.parse() != Ok(tenant) {
            return Err(TokenFault::OtherTenant);
        }
        let access = match claims.get(&self.settings.access_claim) {
            None => Access::ReadOnly,
            Some(Value::String(word)) if word == "read" => Access::ReadOnly,
            Some(Value::String(word)) if word == "write" => Access::ReadWrite,
            Some(_) => return Err(TokenFault::Access),
        };
        Ok((access, Lapse { at: Instant::now() + lasts, grace: self.settings.grace }))
    }

    /// What the issuer has signed for us.
    fn signed(&self, token: &[u8]) -> Result<Map<String, Value>, TokenFault> {
        let header = decode_header(token).map_err(|_| TokenFault::Malformed)?;
        // Whoever marks something as critical wants the token refused where that is not understood (RFC 7515, 4.1.11).
        if header.crit.is_some() {
            return Err(TokenFault::Malformed);
        }
        let key = match self.keys.find(header.kid.as_deref(), header.alg) {
            Found::Key(key) => key,
            Found::OtherAlgorithm => return Err(TokenFault::Algorithm),
            Found::Nothing => return Err(TokenFault::UnknownKey),
        };
        let mut rules = Validation::new(key.algorithm);
        rules.set_required_spec_claims(&["exp", "iss", "aud"]);
        rules.set_issuer(&[&self.settings.issuer]);
        rules.set_audience(&[&self.settings.audience]);
        // By the clock that is given.
        (rules.validate_exp, rules.validate_nbf) = (false, false);
        let data = decode(token, &key.key, &rules).map_err(|error| match error.kind() {
            ErrorKind::InvalidIssuer => TokenFault::Issuer,
            ErrorKind::InvalidAudience => TokenFault::Audience,
            ErrorKind::InvalidAlgorithm => TokenFault::Algorithm,
            ErrorKind::InvalidSignature => TokenFault::Signature,
            ErrorKind::MissingRequiredClaim(claim) => {
                TokenFault::Claim(["exp", "iss", "aud"].into_iter().find(|name| name == claim).unwrap_or("exp"))
            }
            _ => TokenFault::Malformed,
        })?;
        Ok(data.claims)
    }

    /// For how much longer a token counts.
    fn lasts(&self, claims: &Map<String, Value>, now: OffsetDateTime) -> Result<Duration, TokenFault> {
        let seconds = |name: &'static str, value: &Value| {
            value.as_f64().filter(|seconds| seconds.is_finite()).ok_or(TokenFault::Claim(name))
        };
        let (now, leeway) = ((now - OffsetDateTime::UNIX_EPOCH).as_seconds_f64(), self.settings.leeway.as_secs_f64());
        let until = seconds("exp", claims.get("exp").unwrap_or(&Value::Null))? + leeway;
        if let Some(from) = claims.get("nbf")
            && now + leeway < seconds("nbf", from)?
        {
            return Err(TokenFault::Early);
        }
        if until <= now {
            return Err(TokenFault::Expired);
        }
        Ok(Duration::try_from_secs_f64(until - now).unwrap_or(LONGEST).min(LONGEST))
    }
}

#[cfg(test)]
mod tests;
