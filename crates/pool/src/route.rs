//! Where a connection leads and how it is opened.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::{fmt, ptr};

use domain::Servers;
use tls::Trust;
use uuid::Uuid;
use wire::scram::ClientKeys;

/// Where connections lead. Two routes that differ in anything never share a connection, so a rotated password
/// or a tenant that has moved needs no further care here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Route {
    /// The cluster, whose budget the connection counts against.
    pub cluster: Uuid,
    /// The cluster's servers.
    pub servers: Servers,
    /// What is asked of each of them before it is believed.
    pub trust: Trust,
    /// The database to connect to.
    pub database: String,
    /// The login role.
    pub role: String,
    /// Whom the login serves.
    pub serves: Serves,
    /// The role's password.
    pub password: Secret,
    /// The `search_path` under which the app's unqualified names mean the tenant's tables.
    pub search_path: String,
}

/// Whom a login serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Serves {
    /// One tenant: the login is the tenant's identity.
    One,
    /// Many tenants, one after the other: a token proves which ([`crate::Lease::present`]). What one of them may have
    /// stored on the login is looked for on every new connection.
    Many,
}

/// A password on its way to a server. It is not shown by `Debug` and has no `Display`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Takes a password in the clear.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The password, for the one who has to prove it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Settings that a client gave in its startup message, such as `TimeZone`.
///
/// A server connection is opened with exactly these, and lent only to clients that gave the same. So they are the
/// defaults that `RESET ALL` returns to, as they are when PostgreSQL is spoken to directly.
///
/// Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct SessionParams(Arc<BTreeMap<String, String>>);

impl SessionParams {
    /// Name and value of each, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// One setting's value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// Of two settings with the same name the later counts. Names are compared as written: give them in one spelling.
impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for SessionParams {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(settings: I) -> Self {
        Self(Arc::new(settings.into_iter().map(|(name, value)| (name.into(), value.into())).collect()))
    }
}

/// What two uses must have in common to share a connection, one after the other.
#[derive(Debug)]
pub(crate) struct Purpose {
    pub(crate) route: Route,
    pub(crate) params: SessionParams,
    /// Of both of them: purposes are compared for every transaction.
    hash: u64,
    /// What the password came to at the last login.
    keys: Mutex<Option<Arc<ClientKeys>>>,
}

impl Purpose {
    pub(crate) fn new(route: Route, params: SessionParams) -> Self {
        let mut hasher = DefaultHasher::new();
        (&route, &params).hash(&mut hasher);
        Self { route, params, hash: hasher.finish(), keys: Mutex::default() }
    }

    /// The keys with which the role logged in last. A server that has been given another password asks for others.
    pub(crate) fn keys(&self) -> Option<Arc<ClientKeys>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps them for the next login.
    pub(crate) fn keep_keys(&self, keys: Arc<ClientKeys>) {
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = Some(keys);
    }
}

impl PartialEq for Purpose {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self, other) || self.hash == other.hash && self.route == other.route && self.params == other.params
    }
}

impl Eq for Purpose {}

impl Hash for Purpose {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// The purposes of all who may borrow, so that those of the same purpose have one between them: clients are many, and what
/// they come for is not.
#[derive(Debug, Default)]
pub(crate) struct Purposes(Mutex<Shelves>);

#[derive(Debug, Default)]
struct Shelves {
    by_hash: HashMap<u64, Vec<Weak<Purpose>>>,
    /// How many hashes there may be before those of nobody are thrown away.
    limit: usize,
}

impl Purposes {
    /// The purpose of a route and settings, the same one for all who ask while anybody has it.
    pub(crate) fn of(&self, route: Route, params: SessionParams) -> Arc<Purpose> {
        let fresh = Purpose::new(route, params);
        let mut shelves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if shelves.by_hash.len() > shelves.limit {
            shelves.by_hash.retain(|_, alike| alike.iter().any(|purpose| purpose.strong_count() > 0));
            shelves.limit = (shelves.by_hash.len() * 2).max(1024);
        }
        let alike = shelves.by_hash.entry(fresh.hash).or_default();
        if let Some(known) = alike.iter().filter_map(Weak::upgrade).find(|known| **known == fresh) {
            return known;
        }
        let fresh = Arc::new(fresh);
        alike.retain(|purpose| purpose.strong_count() > 0);
        alike.push(Arc::downgrade(&fresh));
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(role: &str) -> Route {
        Route {
            cluster: Uuid::nil(),
            servers: Servers::one("127.0.0.1", 5432),
            trust: Trust::plain(),
            database: "app_petshop".to_owned(),
            role: role.to_owned(),
            serves: Serves::One,
            password: Secret::new("hunter2"),
            search_path: "public".to_owned(),
        }
    }

    #[test]
    fn a_route_can_be_logged() {
        assert!(!format!("{:?}", route("t_0")).contains("hunter2"));
    }

    #[test]
    fn those_who_come_for_the_same_have_one_purpose_for_as_long_as_anybody_has_it() {
        let purposes = Purposes::default();
        let utc = SessionParams::from_iter([("TimeZone", "UTC")]);
        let one = purposes.of(route("t_0"), utc.clone());
        assert!(Arc::ptr_eq(&one, &purposes.of(route("t_0"), SessionParams::from_iter([("TimeZone", "UTC")]))));
        assert!(!Arc::ptr_eq(&one, &purposes.of(route("t_1"), utc.clone())), "another role");
        assert!(!Arc::ptr_eq(&one, &purposes.of(route("t_0"), SessionParams::default())), "other settings");
        for n in 0..5000 {
            purposes.of(route(&format!("t_{n}")), utc.clone());
        }
        assert!(Arc::ptr_eq(&one, &purposes.of(route("t_0"), utc)), "still in use");
        let known = purposes.0.lock().expect("nobody panics").by_hash.len();
        assert!(known <= 1025, "those of nobody are thrown away: {known}");
    }

    #[test]
    fn the_order_of_settings_does_not_matter_and_the_last_of_a_name_counts() {
        let one: SessionParams = [("TimeZone", "UTC"), ("DateStyle", "ISO")].into_iter().collect();
        let other: SessionParams =
            [("DateStyle", "SQL"), ("DateStyle", "ISO"), ("TimeZone", "UTC")].into_iter().collect();
        assert_eq!(one, other);
        assert_eq!(one.iter().next(), Some(("DateStyle", "ISO")));
    }
}
