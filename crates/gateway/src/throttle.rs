//! Slows down whoever guesses keys.
//!
//! Failures are counted for one tenant from one network, so that a guesser locks nobody out but itself: the tenant's
//! clients elsewhere are let in as ever, and so are other tenants' clients from there; a right key clears the count. Names
//! that no tenant has are not counted: there is nothing to find out by them, since slugs are no secret.

use std::collections::HashMap;
use std::mem;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::TenantId;

use crate::dials::Dials;
use crate::fault::Fault;

/// The first pause; each further failure doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// How long failures are remembered at least; at most, it is twice as long.
const MEMORY: Duration = Duration::from_mins(15);

/// Whom a generation remembers at most: two of them take less than 20 MB. A flood of other addresses makes the oldest be
/// forgotten, which costs the flood as many connections.
const MOST: usize = 65_536;

/// What is known of failed logins. Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Throttle {
    /// Where it is said how many failures have no consequences.
    dials: Dials,
    book: Arc<Mutex<Book>>,
}

/// Two generations, of which the older is forgotten as a whole: nothing is ever searched through.
#[derive(Debug)]
struct Book {
    young: HashMap<Who, Record>,
    old: HashMap<Who, Record>,
    turned: Instant,
    most: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Who {
    network: IpAddr,
    tenant: TenantId,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    failures: u32,
    /// Until when nothing is heard from there.
    paused: Instant,
}

/// A login that may be tried.
#[derive(Debug)]
pub(crate) struct Attempt {
    throttle: Throttle,
    who: Who,
}

impl Throttle {
    pub(crate) fn new(dials: Dials, now: Instant) -> Self {
        Self { dials, book: Arc::new(Mutex::new(Book::new(MOST, now))) }
    }

    /// Lets somebody try to log in as a tenant, or says when to come back.
    pub(crate) fn attempt(&self, from: IpAddr, tenant: TenantId, now: Instant) -> Result<Attempt, Fault> {
        let who = Who { network: network(from), tenant };
        let attempt = Attempt { throttle: self.clone(), who };
        let allowed = self.allowed();
        if allowed == 0 {
            return Ok(attempt);
        }
        let mut book = self.book(now);
        let Some(record) = book.find(who).filter(|record| record.failures >= allowed) else { return Ok(attempt) };
        if now < record.paused {
            let seconds = (record.paused - now).as_secs() + 1;
            return Err(Fault::new(
                "53300",
                "too many logins from this address have failed",
                format!("Wait {seconds} seconds, and check the password: each further failure doubles the pause."),
            ));
        }
        // One attempt at a time from here on, not as many as fit in between two pauses.
        book.put(who, Record { paused: now + self.pause(record.failures), ..record });
        drop(book);
        Ok(attempt)
    }

    /// Failures without consequences; 0 for any number.
    fn allowed(&self) -> u32 {
        self.dials.read().failed_logins
    }

    fn pause(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(self.allowed()).min(16);
        (FIRST_PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE)
    }

    fn book(&self, now: Instant) -> MutexGuard<'_, Book> {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.age(now);
        book
    }
}

impl Attempt {
    /// What was offered as a proof proves nothing.
    pub(crate) fn failed(self, now: Instant) {
        if self.throttle.allowed() == 0 {
            return;
        }
        let mut book = self.throttle.book(now);
        let failures = book.find(self.who).map_or(0, |record| record.failures).saturating_add(1);
        book.put(self.who, Record { failures, paused: now + self.throttle.pause(failures) });
    }

    /// Whoever it is belongs here.
    pub(crate) fn succeeded(self, now: Instant) {
        if self.throttle.allowed() > 0 {
            self.throttle.book(now).forget(self.who);
        }
    }
}

impl Book {
    fn new(most: usize, now: Instant) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), turned: now, most }
    }

    fn age(&mut self, now: Instant) {
        if self.young.len() >= self.most || now.duration_since(self.turned) >= MEMORY {
            self.old = mem::take(&mut self.young);
            self.turned = now;
        }
    }

    fn find(&self, who: Who) -> Option<Record> {
        self.young.get(&who).or_else(|| self.old.get(&who)).copied()
    }

    fn put(&mut self, who: Who, record: Record) {
        self.old.remove(&who);
        self.young.insert(who, record);
    }

    fn forget(&mut self, who: Who) {
        self.young.remove(&who);
        self.old.remove(&who);
    }
}

/// Whom one address stands for: in IPv6 everybody has at least a /64 of them (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dials::DialSettings;

    const ALLOWED: u32 = 3;

    fn dials(failed_logins: u32) -> Dials {
        Dials::new(DialSettings { failed_logins, ..DialSettings::default() })
    }

    fn over(failed_logins: u32, now: Instant) -> Throttle {
        Throttle::new(dials(failed_logins), now)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn tenant(last: char) -> TenantId {
        format!("0192f0c1-2345-7abc-8def-01234567890{last}").parse().expect("an id")
    }

    fn fail(throttle: &Throttle, from: &str, tenant: TenantId, times: u32, now: Instant) {
        for _ in 0..times {
            throttle.attempt(address(from), tenant, now).expect("not yet").failed(now);
        }
    }

    fn is_heard(throttle: &Throttle, from: &str, tenant: TenantId, now: Instant) -> bool {
        throttle.attempt(address(from), tenant, now).is_ok()
    }

    #[test]
    fn a_guesser_locks_out_itself_alone() {
        let now = Instant::now();
        let throttle = over(ALLOWED, now);
        let (here, there) = ("192.0.2.1", "192.0.2.2");
        fail(&throttle, here, tenant('a'), ALLOWED, now);
        let refused = throttle.attempt(address(here), tenant('a'), now).expect_err("a pause");
        assert!(refused.sqlstate == "53300" && refused.hint.contains("Wait 2 seconds"), "{refused:?}");
        assert!(is_heard(&throttle, there, tenant('a'), now), "the tenant's other clients");
        assert!(is_heard(&throttle, here, tenant('b'), now), "another tenant's clients behind the same address");
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_a_right_key_ends_them() {
        let mut now = Instant::now();
        let throttle = over(ALLOWED, now);
        let here = "2001:db8::1";
        fail(&throttle, here, tenant('a'), ALLOWED, now);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            now += Duration::from_millis(1000 * seconds - 1);
            assert!(!is_heard(&throttle, "2001:db8::ffff", tenant('a'), now), "{seconds}: the same network");
            now += Duration::from_millis(1);
            let attempt = throttle.attempt(address(here), tenant('a'), now).expect("after the pause");
            assert!(!is_heard(&throttle, here, tenant('a'), now), "{seconds}: one at a time");
            attempt.failed(now);
        }
        now += LONGEST_PAUSE;
        throttle.attempt(address(here), tenant('a'), now).expect("after the pause").succeeded(now);
        fail(&throttle, here, tenant('a'), ALLOWED, now);
    }

    #[test]
    fn memory_has_an_end_in_time_and_in_room() {
        let mut now = Instant::now();
        let throttle = over(ALLOWED, now);
        fail(&throttle, "192.0.2.1", tenant('a'), ALLOWED, now);
        for _ in 0..2 {
            now += MEMORY;
            throttle.attempt(address("192.0.2.2"), tenant('a'), now).expect("somebody else").failed(now);
        }
        fail(&throttle, "192.0.2.1", tenant('a'), ALLOWED, now);

        let throttle = Throttle { dials: dials(ALLOWED), book: Arc::new(Mutex::new(Book::new(100, now))) };
        for last in 0..=255 {
            fail(&throttle, &format!("198.51.100.{last}"), tenant('a'), 1, now);
        }
        let book = throttle.book.lock().expect("not poisoned");
        assert!(book.young.len() <= 100 && book.old.len() <= 100);
    }

    #[test]
    fn it_can_be_turned_off() {
        let now = Instant::now();
        let throttle = over(ALLOWED, now);
        fail(&throttle, "192.0.2.1", tenant('a'), ALLOWED, now);
        throttle.dials.set(DialSettings { failed_logins: 0, ..throttle.dials.read() });
        assert!(is_heard(&throttle, "192.0.2.1", tenant('a'), now), "from now on");
        let throttle = over(0, now);
        fail(&throttle, "192.0.2.1", tenant('a'), 1000, now);
        assert!(throttle.book.lock().expect("not poisoned").young.is_empty());
    }

    #[test]
    fn an_address_stands_for_its_network() {
        for (address, stands_for) in
            [("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::")]
        {
            assert_eq!(network(self::address(address)), self::address(stands_for));
        }
    }
}
