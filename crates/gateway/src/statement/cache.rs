//! What has been worked out about texts, for all tenants of an app in one isolation.
//!
//! Nothing of a tenant is kept: a text may come from any of them, and what is kept of it has gaps where tenants differ.
//! All that one can learn of another by it is that a text took some 50 µs less, and so had been sent by somebody.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tenantize::client::Verdict;

use super::reading::Reading;

/// Locks among which texts are spread.
const SHARDS: usize = 16;

/// Bytes that an entry takes besides its text and what is kept of its verdict: a bound from above for the map and the
/// queue.
const OVERHEAD: usize = 1024;

/// Verdicts on texts, the least recently used of which make room for others.
#[derive(Debug)]
pub(crate) struct Cache {
    shards: Vec<Mutex<Shard>>,
    /// Keyed at random, so that nobody can look for texts that meet in one place.
    hasher: RandomState,
    shard_bytes: usize,
    longest: usize,
}

#[derive(Debug, Default)]
struct Shard {
    /// By the hash of text and reading. Of two that have the same hash, the later is kept.
    entries: HashMap<u64, Entry, BuildHasherDefault<AsItIs>>,
    /// Hashes in the order in which their texts came, or were last spared.
    queue: VecDeque<u64>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    text: Box<[u8]>,
    reading: Reading,
    verdict: Arc<Verdict>,
    /// Asked for since the text was last considered for removal.
    used: bool,
}

/// Hashes what is a hash already.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
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
        let hash = self.hasher.hash_one((text, reading));
        if let Some(known) = self.shard(hash).get(hash, text, reading) {
            return known;
        }
        let verdict = Arc::new(judge());
        let entry = Entry { text: text.into(), reading, verdict: Arc::clone(&verdict), used: false };
        // What does not fit would only drive all others out.
        if entry.weight() <= self.shard_bytes {
            self.shard(hash).insert(hash, entry, self.shard_bytes);
        }
        verdict
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        // By other bits than those by which the map spreads its entries.
        let index = usize::try_from((hash >> 32) % SHARDS as u64).unwrap_or_default();
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().expect("not poisoned").bytes).sum()
    }
}

impl Shard {
    fn get(&mut self, hash: u64, text: &[u8], reading: Reading) -> Option<Arc<Verdict>> {
        let entry = self.entries.get_mut(&hash).filter(|entry| *entry.text == *text && entry.reading == reading)?;
        entry.used = true;
        Some(Arc::clone(&entry.verdict))
    }

    fn insert(&mut self, hash: u64, entry: Entry, limit: usize) {
        self.bytes += entry.weight();
        match self.entries.insert(hash, entry) {
            // Its place in the queue is the new one's.
            Some(old) => self.bytes -= old.weight(),
            None => self.queue.push_back(hash),
        }
        while self.bytes > limit && self.make_room() {}
    }

    /// Considers the text that has waited longest, and spares it once if somebody has asked for it. Says whether there was
    /// one.
    fn make_room(&mut self) -> bool {
        let Some(hash) = self.queue.pop_front() else { return false };
        let spared = self.entries.get_mut(&hash).is_some_and(|entry| std::mem::take(&mut entry.used));
        if spared {
            self.queue.push_back(hash);
        } else if let Some(gone) = self.entries.remove(&hash) {
            self.bytes -= gone.weight();
        }
        true
    }
}

impl Entry {
    /// Bytes that it takes. A rewritten text may be much longer than the one that was sent.
    fn weight(&self) -> usize {
        let kept = match &*self.verdict {
            Verdict::Unchanged => 0,
            Verdict::Rewritten(template) => template.bytes(),
            Verdict::Refused { message, hint, .. } => message.capacity() + hint.capacity(),
        };
        OVERHEAD + self.text.len() + kept
    }
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

    #[test]
    fn what_is_kept_is_weighed() {
        let limit = SHARDS * 100_000;
        let cache = Cache::new(limit, 100);
        for number in 0..1000 {
            cache.get_or(format!("short {number}").as_bytes(), STANDARD, || refused(&"long ".repeat(4000)));
            assert!(cache.bytes() <= limit);
        }
        let kept: usize = cache.shards.iter().map(|shard| shard.lock().expect("not poisoned").entries.len()).sum();
        assert!((1..=limit / 20_000).contains(&kept), "{kept}");
        let before = cache.bytes();
        cache.get_or(b"short", STANDARD, || refused(&"long ".repeat(40_000)));
        assert_eq!(cache.bytes(), before, "it does not fit, and drives nothing out");
    }
}
