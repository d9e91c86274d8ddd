//! Names that síndico gives, read back.

use domain::{AppName, TenantId};

/// What a database is by its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DatabaseName {
    /// An app's own, or what databases of its tenants are copied from.
    Apps(AppName),
    /// One of those that is not whole, or no longer used.
    Build(AppName),
    /// A tenant's.
    Tenants(AppName, TenantId),
}

pub(super) fn database(name: &str) -> Option<DatabaseName> {
    for prefix in ["building_app_", "building_tpl_", "retired_tpl_"] {
        if let Some(app) = name.strip_prefix(prefix) {
            return Some(DatabaseName::Build(app.parse().ok()?));
        }
    }
    if let Some(app) = name.strip_prefix("tpl_") {
        return Some(DatabaseName::Apps(app.parse().ok()?));
    }
    let app = name.strip_prefix("app_")?;
    if let Some((owner, hex)) = app.rsplit_once('_')
        && let Some(tenant) = tenant(hex)
    {
        return Some(DatabaseName::Tenants(owner.parse().ok()?, tenant));
    }
    Some(DatabaseName::Apps(app.parse().ok()?))
}

/// Whose a role or schema is: one of these letters, `_`, and the tenant's id.
pub(super) fn tenants(name: &str, letters: &[char]) -> Option<TenantId> {
    let (letter, hex) = name.split_once('_')?;
    let mut chars = letter.chars();
    let known = chars.next().is_some_and(|letter| letters.contains(&letter)) && chars.next().is_none();
    if known { tenant(hex) } else { None }
}

/// The app of a group that tenants' roles are in.
pub(super) fn group(name: &str) -> Option<AppName> {
    let rest = name.strip_prefix("app_")?;
    let suffixes = ["_shared_rw", "_shared_ro", "_shared_login", "_schema", "_own_rw", "_own_ro"];
    suffixes.iter().find_map(|suffix| rest.strip_suffix(suffix)?.parse().ok())
}

fn tenant(hex: &str) -> Option<TenantId> {
    let plain = hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if plain { hex.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0192f0c123457abc8def0123456789ab";

    #[test]
    fn only_names_that_sindico_gives_are_read() {
        let app: AppName = "pet_shop".parse().expect("a name");
        let id: TenantId = HEX.parse().expect("an id");
        let names = app.names();
        assert_eq!(database(&names.database), Some(DatabaseName::Apps(app.clone())));
        assert_eq!(database(&names.template), Some(DatabaseName::Apps(app.clone())));
        assert_eq!(database(&app.own_database(id)), Some(DatabaseName::Tenants(app.clone(), id)));
        for build in ["building_app_pet_shop", "building_tpl_pet_shop", "retired_tpl_pet_shop"] {
            assert_eq!(database(build), Some(DatabaseName::Build(app.clone())), "{build}");
        }
        for other in ["postgres", "app_", "app_Pet", "tpl_", "apps_x", "building_x", "app_1", &format!("app_{HEX}x")] {
            assert_eq!(database(other), None, "{other}");
        }
        assert_eq!(tenants(&format!("t_{HEX}"), &['t', 'r']), Some(id));
        for other in [format!("x_{HEX}"), format!("t_{}", HEX.to_uppercase()), format!("tt_{HEX}"), format!("t_{HEX}0")]
        {
            assert_eq!(tenants(&other, &['t', 'r']), None, "{other}");
        }
        for known in names.groups() {
            assert_eq!(group(known), Some(app.clone()), "{known}");
        }
        assert_eq!(group("app_pet_shop_owner"), None);
    }
}
