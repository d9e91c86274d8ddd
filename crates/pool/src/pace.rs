//! How many connections may be on their way from one tenant to another at the same time.
//!
//! Each takes a connection from a tenant that may be back for it at once. While a server has processors to spare, many changes
//! take no longer than one, and there is no reason to wait. When it has none, more at a time are not done sooner; but more
//! connections are away from their tenants meanwhile, so more requests find none and ask for a change in their turn: of a hundred
//! connections under 64 busy clients two thirds served nobody, whatever tenants wanted.
//!
//! Changes of one kind are all alike, so the time that they take tells how busy the server is. If it is `t` on average where it was
//! `q` when changes were quickest, then of `n` at a time `n (1 - q / t)` do nothing but wait. As in TCP Vegas (Brakmo and Peterson,
//! 1995) the number rises while fewer wait than a few, which keep the server from running dry, and falls when more do. What is
//! quickest is found out anew every minute, by a few changes at the smallest number: a server that is always busy would make all
//! look quick.

use std::time::Duration;

use tokio::time::Instant;

/// Changes at a time, at least and at first: one that hangs must not keep everybody waiting.
const FEWEST: f64 = 2.0;

/// Changes whose times are put together, at least: one says little.
const BATCH: u32 = 16;

/// For how long it is remembered how quick changes can be. Servers move, and get more to do.
const REMEMBERED: Duration = Duration::from_mins(1);

/// After so long without one that has ended, those that run hang: on connections that a firewall has forgotten, say.
const HANGING: Duration = Duration::from_millis(100);

/// How many of the changes that run may do nothing but wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    /// If fewer do, more may run.
    pub(crate) least: f64,
    /// If more do, fewer may.
    pub(crate) most: f64,
}

/// Changes of one kind at one cluster.
#[derive(Debug)]
pub(crate) struct Pace {
    waiting: Waiting,
    running: u32,
    limit: f64,
    most: f64,
    batch: Batch,
    /// The least average since `since`.
    quickest: Duration,
    since: Option<Instant>,
    probe: Option<Probe>,
    /// When one last ended, or the first of those that run began.
    moved: Option<Instant>,
}

/// It is being found out how quick changes can be.
#[derive(Debug, Clone, Copy)]
struct Probe {
    /// How many ran when it began, of which each has still met the others.
    left: u32,
    /// The limit to go on with.
    then: f64,
}

#[derive(Debug, Default)]
struct Batch {
    count: u32,
    took: Duration,
    /// Those during which there was no room for another.
    full: u32,
}

impl Pace {
    /// For a cluster with so many connections.
    pub(crate) fn new(budget: usize, waiting: Waiting) -> Self {
        Self {
            waiting,
            running: 0,
            limit: FEWEST,
            most: u32::try_from(budget).map_or(f64::MAX, f64::from).max(FEWEST),
            batch: Batch::default(),
            quickest: Duration::MAX,
            since: None,
            probe: None,
            moved: None,
        }
    }

    /// Whether another may begin.
    pub(crate) fn has_room(&self) -> bool {
        f64::from(self.running) + 1.0 <= self.limit
    }

    /// Whether there is no room, and will be none soon.
    pub(crate) fn hangs(&self, now: Instant) -> bool {
        let moved = self.moved.map_or(Duration::ZERO, |moved| now.saturating_duration_since(moved));
        !self.has_room() && moved >= HANGING
    }

    /// One begins.
    pub(crate) fn begin(&mut self, now: Instant) {
        if self.running == 0 {
            self.moved = Some(now);
        }
        self.running += 1;
    }

    /// One has ended; it took so long, unless it came to nothing.
    pub(crate) fn end(&mut self, took: Option<Duration>, now: Instant) {
        let full = !self.has_room();
        self.moved = Some(now);
        self.running = self.running.saturating_sub(1);
        if let Some(probe) = self.probe.as_mut().filter(|probe| probe.left > 0) {
            probe.left -= 1;
            return;
        }
        let Some(took) = took else { return };
        self.batch.count += 1;
        self.batch.took += took;
        self.batch.full += u32::from(full);
        // A round of all that run at a time, so that each number is tried before the next.
        if self.batch.count >= BATCH && f64::from(self.batch.count) >= self.limit {
            self.learn(now);
        }
    }

    fn learn(&mut self, now: Instant) {
        let Batch { count, took, full } = std::mem::take(&mut self.batch);
        let average = took / count;
        if let Some(probe) = self.probe.take() {
            (self.limit, self.quickest, self.since) = (probe.then, average, Some(now));
            return;
        }
        self.quickest = self.quickest.min(average);
        if now.saturating_duration_since(*self.since.get_or_insert(now)) >= REMEMBERED {
            self.probe = Some(Probe { left: self.running, then: self.limit });
            self.limit = FEWEST;
            return;
        }
        let quickest = self.quickest;
        let wait = self.limit * (1.0 - quickest.as_secs_f64() / average.as_secs_f64().max(f64::MIN_POSITIVE));
        if wait > self.waiting.most {
            self.limit -= 1.0;
        } else if wait < self.waiting.least && full > count / 2 {
            // What has not been reached says nothing of how many are too few.
            self.limit += 1.0;
        }
        self.limit = self.limit.clamp(FEWEST, self.most);
    }

    /// Changes that run.
    pub(crate) fn running(&self) -> u32 {
        self.running
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(budget: usize) -> Pace {
        Pace::new(budget, Waiting { least: 3.0, most: 6.0 })
    }

    /// Runs as many at a time as are allowed, six thousand times; `time` tells how long so many at a time take.
    fn settled(mut pace: Pace, mut now: Instant, time: impl Fn(u32) -> Duration) -> (Pace, Instant) {
        for _ in 0..6000 {
            while pace.has_room() {
                pace.begin(now);
            }
            let took = time(pace.running());
            now += took / pace.running();
            pace.end(Some(took), now);
        }
        while pace.running() > 0 {
            pace.end(None, now);
        }
        (pace, now)
    }

    fn at_a_time(pace: &mut Pace) -> u32 {
        while pace.has_room() {
            pace.begin(Instant::now());
        }
        let count = pace.running();
        (0..count).for_each(|_| pace.end(None, Instant::now()));
        count
    }

    #[test]
    fn a_server_with_time_is_given_as_many_as_there_are() {
        let (mut pace, _) = settled(of(100), Instant::now(), |_| Duration::from_millis(20));
        assert_eq!(at_a_time(&mut pace), 100);
    }

    #[test]
    fn a_busy_server_is_given_few() {
        let one = Duration::from_millis(10);
        let (mut pace, now) = settled(of(100), Instant::now(), |count| one * count.max(2) / 2);
        assert!((4..=9).contains(&at_a_time(&mut pace)), "{pace:?}");
        // And more again when it has time.
        let (mut pace, _) = settled(pace, now, |_| one);
        assert!(at_a_time(&mut pace) > 20, "{pace:?}");
    }

    #[test]
    fn a_server_that_is_busy_for_hours_does_not_look_quick() {
        let (mut pace, mut now) = (of(100), Instant::now());
        let begin = now;
        while now.duration_since(begin) < Duration::from_hours(1) {
            (pace, now) = settled(pace, now, |count| Duration::from_millis(5) * count);
        }
        assert!((4..=9).contains(&at_a_time(&mut pace)), "{pace:?}");
    }

    #[test]
    fn a_server_that_is_farther_away_than_before_is_learnt_anew() {
        let (mut pace, mut now) = settled(of(50), Instant::now(), |_| Duration::from_millis(2));
        assert_eq!(at_a_time(&mut pace), 50);
        for _ in 0..20 {
            (pace, now) = settled(pace, now, |_| Duration::from_millis(40));
        }
        assert_eq!(at_a_time(&mut pace), 50);
    }

    #[test]
    fn what_comes_to_nothing_teaches_nothing() {
        let mut pace = of(100);
        for _ in 0..1000 {
            pace.begin(Instant::now());
            pace.end(None, Instant::now());
        }
        assert_eq!(at_a_time(&mut pace), 2);
        assert_eq!(at_a_time(&mut of(1)), 2, "a budget of one is kept elsewhere");
    }

    #[test]
    fn those_that_hang_are_noticed() {
        let (mut pace, now) = (of(100), Instant::now());
        let later = |millis| now + Duration::from_millis(millis);
        pace.begin(now);
        assert!(!pace.hangs(later(1000)), "there is room");
        pace.begin(now);
        assert!(!pace.hangs(later(99)) && pace.hangs(later(100)));
        pace.end(None, later(90));
        pace.begin(later(95));
        assert!(!pace.hangs(later(150)) && pace.hangs(later(190)));
    }
}
