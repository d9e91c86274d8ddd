//! Statements that clients prepare, when their transactions run on different server connections (PostgreSQL manual,
//! 55.2.3).
//!
//! A client names its statements for itself; the next one gives the same names to others. So a text, with its parameter
//! types, gets a number here, one for all clients of this process, and a server connection knows it by that: whoever
//! prepares a text that a connection has already prepared pays nothing for it.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use foldhash::HashMap;
use pool::Settings;

use crate::traces::Traces;

/// What names of ours begin with. A client's own reach a server only where they mean nothing here.
const PREFIX: &str = "sindico_";

/// Statements that one server connection keeps. More than any application uses at once; each takes memory there.
pub(crate) const PER_SERVER: usize = 256;

/// A text that has been prepared, somewhere or not any more.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) number: u64,
    /// The body of its `Parse` behind the name.
    pub(crate) rest: Bytes,
    /// The settings of the session that it was first read in.
    settings: Settings,
    /// Whoever prepares this text from now on gets another: the tables in it have changed.
    retired: AtomicBool,
    /// What running it may leave in a session.
    pub(crate) traces: Traces,
}

impl Statement {
    /// Whether it is what a client means that prepares this text under these settings.
    fn serves(&self, rest: &[u8], settings: &Settings) -> bool {
        self.rest == rest && self.settings.same(settings) && !self.retired.load(Ordering::Relaxed)
    }

    /// Its text.
    pub(crate) fn text(&self) -> &[u8] {
        self.rest.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// Its name on servers.
    pub(crate) fn name(&self) -> String {
        name(self.number)
    }
}

/// What servers call a statement by.
pub(crate) fn name(number: u64) -> String {
    format!("{PREFIX}{number}")
}

/// All texts that some client has prepared. Cheap to clone; all clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Library {
    shelves: Arc<Mutex<Shelves>>,
    /// Of the kind that nobody can aim at: tenants meet here, and each gives texts of its own choice.
    hasher: Arc<RandomState>,
    next: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Shelves {
    by_hash: HashMap<u64, Vec<Weak<Statement>>>,
    /// How many hashes there may be before those of nobody are thrown away.
    limit: usize,
}

impl Library {
    /// The statement with this text and these parameter types, as a `Parse` has them behind the name, read under these
    /// settings: a server may work out a constant as soon as it reads it.
    pub(crate) fn find(&self, rest: &[u8], settings: &Settings, traces: impl FnOnce() -> Traces) -> Arc<Statement> {
        let hash = self.hasher.hash_one(rest);
        {
            let shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
            let mut known = shelves.by_hash.get(&hash).into_iter().flatten().filter_map(Weak::upgrade);
            if let Some(known) = known.find(|known| known.serves(rest, settings)) {
                return known;
            }
        }
        // Not under the lock, since a text may be long. Two clients at once may get a number each.
        let statement = self.alone(rest, settings, traces());
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        let alike = shelves.by_hash.entry(hash).or_default();
        alike.retain(|known| known.strong_count() > 0);
        alike.push(Arc::downgrade(&statement));
        if shelves.by_hash.len() > shelves.limit {
            shelves.by_hash.retain(|_, shelf| {
                shelf.retain(|known| known.strong_count() > 0);
                !shelf.is_empty()
            });
            shelves.limit = (shelves.by_hash.len() * 2).max(1024);
        }
        statement
    }

    /// A statement that nobody else gets.
    pub(crate) fn alone(&self, rest: &[u8], settings: &Settings, traces: Traces) -> Arc<Statement> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Arc::new(Statement {
            number,
            rest: Bytes::copy_from_slice(rest),
            settings: settings.clone(),
            retired: AtomicBool::new(false),
            traces,
        })
    }
}

/// Statements that one client may have, and bytes of their texts together. A server would keep them for its own clients;
/// here all tenants' clients meet.
const PER_CLIENT: usize = 1000;
const BYTES_PER_CLIENT: usize = 1 << 20;

/// Bytes of an unnamed statement that a client without a server connection keeps. By then most have run.
const UNNAMED: usize = 64 * 1024;

/// One client's statements, by the names that it gave them; the unnamed one has an empty name.
#[derive(Debug, Default)]
pub(crate) struct Statements {
    by_name: HashMap<Box<[u8]>, Arc<Statement>>,
    /// Bytes of the named ones' names and texts.
    bytes: usize,
}

impl Statements {
    pub(crate) fn get(&self, name: &[u8]) -> Option<&Arc<Statement>> {
        self.by_name.get(name)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Statement> {
        self.by_name.values().map(|statement| &**statement)
    }

    /// Has a name mean a statement or nothing, and says what it meant before.
    pub(crate) fn set(&mut self, name: &[u8], statement: Option<Arc<Statement>>) -> Option<Arc<Statement>> {
        let weight = |statement: &Option<Arc<Statement>>| match statement {
            Some(statement) if !name.is_empty() => name.len() + statement.rest.len(),
            _ => 0,
        };
        let added = weight(&statement);
        let before = match statement {
            Some(statement) => self.by_name.insert(name.into(), statement),
            None => self.by_name.remove(name),
        };
        self.bytes = (self.bytes + added).saturating_sub(weight(&before));
        before
    }

    /// Whether there is room for one more named statement, whose message has so many bytes.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.by_name.len() < PER_CLIENT && self.bytes + bytes <= BYTES_PER_CLIENT
    }

    /// Has whoever prepares one of these texts anew get another statement.
    pub(crate) fn retire(&self) {
        for statement in self.by_name.values() {
            statement.retired.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the unnamed statement is better kept by a server.
    pub(crate) fn weigh_on(&self) -> bool {
        self.get(b"").is_some_and(|unnamed| unnamed.rest.len() > UNNAMED)
    }

    /// All that have names end. The unnamed one is none of those that `DEALLOCATE ALL` and `DISCARD ALL` mean.
    pub(crate) fn clear_named(&mut self) {
        self.by_name.retain(|name, _| name.is_empty());
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_so_many_statements_and_no_more() {
        let (library, mut statements) = (Library::default(), Statements::default());
        let long = vec![b'x'; BYTES_PER_CLIENT - 100];
        let statement = library.find(&long, &Settings::default(), Traces::default);
        statements.set(b"", Some(Arc::clone(&statement)));
        assert!(statements.has_room(BYTES_PER_CLIENT), "the unnamed one is not counted");
        assert!(statements.weigh_on());
        statements.set(b"", None);
        statements.set(b"a", Some(Arc::clone(&statement)));
        statements.set(b"a", Some(statement));
        assert!(statements.has_room(99) && !statements.has_room(100));
        assert!(statements.set(b"a", None).is_some() && statements.has_room(BYTES_PER_CLIENT));
        for nth in 0..PER_CLIENT {
            assert!(statements.has_room(0));
            statements.set(
                nth.to_string().as_bytes(),
                Some(library.find(b"SELECT 1", &Settings::default(), Traces::default)),
            );
        }
        assert!(!statements.has_room(0));
    }

    #[test]
    fn one_text_is_one_statement_for_as_long_as_somebody_has_it() {
        let library = Library::default();
        let none = Settings::default();
        let find = |rest: &[u8]| library.find(rest, &none, Traces::default);
        let one = find(b"SELECT 1\0\0\0");
        assert!(Arc::ptr_eq(&one, &find(b"SELECT 1\0\0\0")));
        assert_ne!(one.number, find(b"SELECT 1\0\0\x01\0\0\0\x17").number, "other types");
        let other: Settings = [("TimeZone".to_owned(), "UTC".to_owned())].into_iter().collect();
        assert_ne!(one.number, library.find(b"SELECT 1\0\0\0", &other, Traces::default).number, "other settings");
        let number = one.number;
        drop(one);
        for _ in 0..100 {
            find(b"SELECT 2\0\0\0");
        }
        let longest = |library: &Library| {
            let shelves = library.shelves.lock().expect("nobody panics");
            shelves.by_hash.values().map(Vec::len).max()
        };
        assert!(longest(&library) <= Some(2), "texts of nobody are thrown away");
        assert_ne!(find(b"SELECT 1\0\0\0").number, number, "a name is never used again");
        for n in 0..5000 {
            find(format!("SELECT {n}\0\0\0").as_bytes());
        }
        let shelves = library.shelves.lock().expect("nobody panics");
        assert!(shelves.by_hash.len() < 2048, "{}", shelves.by_hash.len());
    }
}
