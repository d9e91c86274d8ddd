//! What has been worked out about texts, for all tenants of an app in one isolation.
//!
//! Nothing of a tenant is kept: a text may come from any of them, and what is kept of it has gaps where tenants differ.
//! All that one can learn of another by it is that a text took some 50 µs less, and so had been sent by somebody.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tenantize::client::Verdict;

use super::reading::Reading;

/// Locks among which texts are spread.
const SHARDS: usize = 16;

/// Bytes that an entry takes besides its text, the text's parts in a template and the text in the queue: a bound from above
/// for maps, counters and the pieces of a rewritten text.
const OVERHEAD: usize = 1024;

/// Verdicts on texts, the least recently used of which make room for others.
#[derive(Debug)]
pub(crate) struct Cache {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    shard_bytes: usize,
    longest: usize,
}

#[derive(Debug, Default)]
struct Shard {
    /// By text, and for each the readings that have occurred, of which there is hardly ever more than one.
    entries: HashMap<Arc<[u8]>, Vec<Entry>>,
    /// Texts in the order in which they came, or were last spared.
    queue: VecDeque<Arc<[u8]>>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    reading: Reading,
    verdict: Arc<Verdict>,
    /// Asked for since the text was last considered for removal.
    used: bool,
}

impl Cache {
    /// A cache that takes at most about `bytes`, and no text that is longer than `longest`.
    pub(crate) fn new(bytes: usize, longest: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, hasher: RandomState::new(), shard_bytes: bytes / SHARDS, longest }
    }

    /// What is known of a text, or else what `judge` says of it. Two sessions that ask at once may both judge.
    pub(crate) fn get_or(&self, text: &[u8], reading: Reading, judge: impl FnOnce() -> Verdict) -> Arc<Verdict> {
        if text.len() > self.longest {
            return Arc::new(judge());
        }
        if let Some(known) = self.shard(text).get(text, reading) {
            return known;
        }
        let verdict = Arc::new(judge());
        self.shard(text).insert(text, reading, &verdict, self.shard_bytes);
        verdict
    }

    fn shard(&self, text: &[u8]) -> MutexGuard<'_, Shard> {
        let index = usize::try_from(self.hasher.hash_one(text) % SHARDS as u64).unwrap_or_default();
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().expect("not poisoned").bytes).sum()
    }
}

impl Shard {
    fn get(&mut self, text: &[u8], reading: Reading) -> Option<Arc<Verdict>> {
        let entry = self.entries.get_mut(text)?.iter_mut().find(|entry| entry.reading == reading)?;
        entry.used = true;
        Some(Arc::clone(&entry.verdict))
    }

    fn insert(&mut self, text: &[u8], reading: Reading, verdict: &Arc<Verdict>, limit: usize) {
        let entry = Entry { reading, verdict: Arc::clone(verdict), used: false };
        if let Some(entries) = self.entries.get_mut(text) {
            if entries.iter().all(|known| known.reading != reading) {
                entries.push(entry);
                self.bytes += weight(text);
            }
        } else {
            let key: Arc<[u8]> = text.into();
            self.queue.push_back(Arc::clone(&key));
            self.entries.insert(key, vec![entry]);
            self.bytes += weight(text);
        }
        while self.bytes > limit && self.make_room() {}
    }

    /// Considers the text that has waited longest, and spares it once if somebody has asked for it. Says whether there was
    /// one.
    fn make_room(&mut self) -> bool {
        let Some(text) = self.queue.pop_front() else { return false };
        let Some(entries) = self.entries.get_mut(&text) else { return true };
        if entries.iter().any(|entry| entry.used) {
            for entry in entries {
                entry.used = false;
            }
            self.queue.push_back(text);
        } else {
            self.bytes -= weight(&text) * entries.len();
            self.entries.remove(&text);
        }
        true
    }
}

/// Bytes that a text and what is known of it take: a template has the text's parts once more, and what is put in between.
fn weight(text: &[u8]) -> usize {
    OVERHEAD + 3 * text.len()
}

#[cfg(test)]
mod tests {
    use super::super::reading::{Letters, Strings};
    use super::*;

    const STANDARD: Reading = Reading { strings: Strings::Standard, letters: Letters::Utf8 };
    const ESCAPING: Reading = Reading { strings: Strings::Escaping, letters: Letters::Utf8 };

    fn refused(message: &str) -> Verdict {
        Verdict::Refused { sqlstate: "0A000", message: message.to_owned(), hint: String::new() }
    }

    #[test]
    fn a_text_is_judged_once_per_reading() {
        let cache = Cache::new(1 << 20, 100);
        let mut judged = 0;
        for reading in [STANDARD, STANDARD, ESCAPING, STANDARD, ESCAPING] {
            let said = format!("{reading:?}");
            let verdict = cache.get_or(b"LOCK t", reading, || {
                judged += 1;
                refused(&said)
            });
            assert_eq!(*verdict, refused(&said), "not the other reading's");
        }
        assert_eq!(judged, 2);
    }

    #[test]
    fn memory_is_bounded_and_what_is_used_stays() {
        let limit = 1 << 20;
        let cache = Cache::new(limit, 4096);
        for number in 0..5_000 {
            cache.get_or(format!("LOCK t{number}").as_bytes(), STANDARD, || Verdict::Unchanged);
            cache.get_or(b"often", STANDARD, || {
                assert_eq!(number, 0, "forgotten although it is used all the time");
                Verdict::Unchanged
            });
            assert!(cache.bytes() <= limit);
        }
        let queued: usize = cache.shards.iter().map(|shard| shard.lock().expect("not poisoned").queue.len()).sum();
        assert!(queued <= limit / OVERHEAD);
        let long = vec![b'x'; 4097];
        let before = cache.bytes();
        cache.get_or(&long, STANDARD, || Verdict::Unchanged);
        assert_eq!(cache.bytes(), before, "a long text is not kept");
    }
}
