//! Tenants' keys in the control database.

use std::fmt;

use aws_lc_rs::error::Unspecified;
use data_encoding::{Encoding, Specification};
use domain::{Access, KeyId, TenantId};
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;
use wire::scram::Verifier;

use crate::{Catalog, CatalogError, SCRAM_ITERATIONS, SealError};

/// A key as it may be shown: everything but the secret, which nobody has any more.
#[derive(Debug, Clone, Serialize)]
pub struct Key {
    /// UUID version 7.
    pub id: KeyId,
    /// What its owner calls it.
    pub label: String,
    /// Which of the tenant's roles it logs in as.
    pub access: Access,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// From when on it opens no new connection.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
}

/// What making a key takes.
#[derive(Debug)]
pub struct NewKey<'a> {
    /// What its owner calls it.
    pub label: &'a str,
    /// Which of the tenant's roles it logs in as.
    pub access: Access,
    /// From when on it opens no new connection.
    pub expires_at: Option<OffsetDateTime>,
}

/// A key's secret, on its way to the one person who is shown it.
pub struct KeySecret(String);

impl KeySecret {
    /// 160 random bits behind a prefix by which secret scanners know it; only letters and digits, so that it stands in a
    /// connection string as it is.
    pub fn generate() -> Result<Self, SealError> {
        let mut bytes = [0; 20];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|Unspecified| SealError::Random)?;
        Ok(Self(format!("sk_{}", lowercase_base32()?.encode(&bytes))))
    }

    /// What the control database keeps of it.
    #[must_use]
    pub fn verifier(&self, salt: &[u8]) -> Verifier {
        Verifier::derive(&self.0, salt, SCRAM_ITERATIONS)
    }

    /// The secret itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecret(…)")
    }
}

fn lowercase_base32() -> Result<Encoding, SealError> {
    let mut alphabet = Specification::new();
    alphabet.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    alphabet.encoding().map_err(|_| SealError::Random)
}

pub(crate) fn access(word: &str) -> Result<Access, CatalogError> {
    [Access::ReadWrite, Access::ReadOnly]
        .into_iter()
        .find(|known| known.as_str() == word)
        .ok_or_else(|| CatalogError::Unreadable { what: "key access", value: word.to_owned() })
}

impl Catalog {
    /// Gives a tenant one more key; none when the tenant is gone.
    pub async fn add_key(&self, tenant: TenantId, new: &NewKey<'_>) -> Result<Option<(Key, KeySecret)>, CatalogError> {
        let mut tx = self.db.begin().await?;
        // The lock is the one that the foreign key takes anyway; taken now, a deletion cannot come in between.
        let salt =
            sqlx::query_scalar!("SELECT salt FROM sindico.tenants WHERE id = $1 FOR KEY SHARE", tenant.as_uuid())
                .fetch_optional(&mut *tx)
                .await?;
        let Some(salt) = salt else { return Ok(None) };
        // `sindico tenant psql` makes one at each call. Connections that such a key opened end with it at last.
        sqlx::query!(
            "DELETE FROM sindico.keys WHERE tenant = $1 AND expires_at < now() - interval '7 days'",
            tenant.as_uuid(),
        )
        .execute(&mut *tx)
        .await?;
        let secret = KeySecret::generate()?;
        let id = Uuid::now_v7();
        let created_at = sqlx::query_scalar!(
            "INSERT INTO sindico.keys (id, tenant, label, access, verifier, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6) RETURNING created_at",
            id,
            tenant.as_uuid(),
            new.label,
            new.access.as_str(),
            secret.verifier(&salt).to_string(),
            new.expires_at,
        )
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        self.refresh_tenant(tenant).await?;
        let key = Key {
            id: KeyId::from_uuid(id),
            label: new.label.to_owned(),
            access: new.access,
            created_at,
            expires_at: new.expires_at,
        };
        Ok(Some((key, secret)))
    }

    /// A tenant's keys, oldest first.
    pub async fn keys(&self, tenant: TenantId) -> Result<Vec<Key>, CatalogError> {
        let rows = sqlx::query!(
            "SELECT id, label, access, created_at, expires_at FROM sindico.keys WHERE tenant = $1 ORDER BY id",
            tenant.as_uuid(),
        )
        .fetch_all(&self.db)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Key {
                    id: KeyId::from_uuid(row.id),
                    label: row.label,
                    access: access(&row.access)?,
                    created_at: row.created_at,
                    expires_at: row.expires_at,
                })
            })
            .collect()
    }

    /// Takes a key back: no new connection from now on, and those it opened are closed. `false` when there is no such
    /// key.
    pub async fn revoke_key(&self, tenant: TenantId, key: KeyId) -> Result<bool, CatalogError> {
        let done =
            sqlx::query!("DELETE FROM sindico.keys WHERE tenant = $1 AND id = $2", tenant.as_uuid(), key.as_uuid())
                .execute(&self.db)
                .await?;
        self.refresh_tenant(tenant).await?;
        Ok(done.rows_affected() == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stand_in_a_connection_string_and_differ() {
        let (one, other) = (KeySecret::generate().expect("random"), KeySecret::generate().expect("random"));
        assert!(one.reveal().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{}", one.reveal());
        assert_eq!(one.reveal().len(), 3 + 32);
        assert_ne!(one.reveal(), other.reveal());
        assert!(one.verifier(b"salt").matches(one.reveal()));
        assert!(!one.verifier(b"salt").matches(other.reveal()));
        assert!(!format!("{one:?}").contains(one.reveal()));
    }
}
