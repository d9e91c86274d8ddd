//! How many connections to a server on this machine are at work at the same time while there are too few processors.
//!
//! The kernel divides processors between all that want one. Beside forty server processes this one, through which all that
//! they say has to pass, gets a twentieth of what it needs, and everybody waits for it: a client of a tenant that has no
//! other, too. A few server processes for each processor keep them all as busy, and what the others would do is done as
//! soon, since whoever is at work is done sooner.
//!
//! So while this process waits for processors more than it runs, fewer connections are at work, step by step, down to a few
//! for each processor; when it no longer does, more. Whether that costs anything is measured, not believed: servers may wait
//! for disks while something else takes the processors. When less is done than before, there are more at work again, and
//! it is not tried anew for a while.
//!
//! Waiting for a turn costs some ten microseconds, which is not worth it before there are many who would be at work.

use std::time::Duration;

use tokio::time::Instant;

/// How the processors are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strain {
    /// They do what they are asked to.
    None,
    /// What is asked is done with some delay.
    Some,
    /// This process waits for them more than it runs.
    Much,
}

/// What is seen of a cluster at a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sight {
    pub(crate) strain: Strain,
    /// Connections that are at work.
    pub(crate) at_work: usize,
    /// How many were given back since the last sight.
    pub(crate) done: u32,
    /// How many wait to be.
    pub(crate) waiting: usize,
}

/// So many at work or waiting for each processor are a crowd.
const CROWD: f64 = 16.0;

/// What is at work is halved at once, and then made less by so much at a time: a step whose effect can be told from chance.
const LESS: f64 = 0.75;
const MORE: f64 = 1.25;

/// So much less done than at best is not chance.
const LOSS: f64 = 0.75;

/// How much of the best rate is remembered after each round: what clients want changes.
const KEPT: f64 = 0.97;

/// How much a round's rate says beside those before.
const NEWS: f64 = 0.4;

/// A round is so long at least and at most; in between it ends when this many have been given back.
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(2);
const ENOUGH: u32 = 200;

/// For how long fewer are not tried again after they have cost something: doubled each time.
const PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

#[derive(Debug)]
pub(crate) struct Concurrency {
    fewest: f64,
    crowd: f64,
    /// None while as many may be at work as there are.
    limit: Option<f64>,
    /// Given back in a second, on average.
    rate: f64,
    /// The highest rate lately.
    best: f64,
    round: Option<Round>,
    /// Fewer are not tried before.
    not_before: Option<Instant>,
    pause: Duration,
}

#[derive(Debug)]
struct Round {
    since: Instant,
    sights: u32,
    strained: u32,
    waited_for: u32,
    waiting: usize,
    at_work: usize,
    done: u32,
}

impl Round {
    fn new(since: Instant) -> Self {
        Self { since, sights: 0, strained: 0, waited_for: 0, waiting: 0, at_work: 0, done: 0 }
    }

    fn add(&mut self, sight: Sight) {
        self.sights += 1;
        self.strained += match sight.strain {
            Strain::None => 0,
            Strain::Some => 1,
            Strain::Much => 2,
        };
        self.waited_for += u32::from(sight.waiting > 0);
        self.waiting += sight.waiting;
        self.at_work += sight.at_work;
        self.done += sight.done;
    }

    fn is_over(&self, now: Instant) -> bool {
        let took = now.saturating_duration_since(self.since);
        took >= SHORTEST && (self.done >= ENOUGH || took >= LONGEST)
    }

    fn strain(&self) -> Strain {
        match self.strained {
            some if some * 2 > self.sights * 3 => Strain::Much,
            some if some * 2 > self.sights => Strain::Some,
            _ => Strain::None,
        }
    }
}

impl Concurrency {
    /// With these processors.
    pub(crate) fn new(processors: usize) -> Self {
        // Two for each, so that one works while the other's answer is on its way.
        let (fewest, crowd) = (as_number(processors.max(2)) * 2.0, as_number(processors) * CROWD);
        Self { fewest, crowd, limit: None, rate: 0.0, best: 0.0, round: None, not_before: None, pause: PAUSE }
    }

    /// Whether one more may be at work beside so many.
    pub(crate) fn allows(&self, at_work: usize) -> bool {
        self.limit.is_none_or(|limit| as_number(at_work) + 1.0 <= limit)
    }

    /// At most so many are at work, if there is a limit.
    pub(crate) fn limit(&self) -> Option<usize> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is positive, and less than a pool's size"
        )]
        self.limit.map(|limit| limit as usize)
    }

    #[cfg(test)]
    pub(crate) fn set(&mut self, limit: Option<u32>) {
        self.limit = limit.map(f64::from);
    }

    /// Takes note of what is seen, and from time to time changes the limit.
    pub(crate) fn see(&mut self, sight: Sight, now: Instant) {
        let round = self.round.get_or_insert_with(|| Round::new(now));
        round.add(sight);
        if round.is_over(now)
            && let Some(round) = self.round.take()
        {
            self.learn(&round, now);
            self.round = Some(Round::new(now));
        }
    }

    fn learn(&mut self, round: &Round, now: Instant) {
        let took = now.saturating_duration_since(round.since).as_secs_f64().max(f64::MIN_POSITIVE);
        self.rate += NEWS * (f64::from(round.done) / took - self.rate);
        let at_work = as_number(round.at_work) / f64::from(round.sights.max(1));
        let wanted = at_work + as_number(round.waiting) / f64::from(round.sights.max(1));
        let waited_for = round.waited_for * 2 > round.sights;
        let may_lower = self.not_before.is_none_or(|not_before| now >= not_before);
        let Some(limit) = self.limit else {
            self.best = self.rate;
            match round.strain() {
                Strain::Much if may_lower && at_work > self.fewest && wanted > self.crowd => {
                    self.limit = Some((at_work / 2.0).max(self.fewest));
                }
                Strain::None if may_lower => self.pause = PAUSE,
                _ => {}
            }
            return;
        };
        self.best = (self.best * KEPT).max(self.rate);
        let limit = if !waited_for || wanted < self.crowd / 2.0 {
            limit * MORE
        } else if self.rate < self.best * LOSS {
            self.not_before = Some(now + self.pause);
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            // What has been lost is not to be measured by again.
            self.best = self.rate;
            limit * 2.0
        } else {
            match round.strain() {
                Strain::Much if may_lower => (limit * LESS).max(self.fewest),
                Strain::Much | Strain::Some => limit,
                Strain::None => limit * MORE,
            }
        };
        // One that is far from being reached says nothing.
        self.limit = Some(limit).filter(|limit| *limit <= self.fewest.max(at_work * 2.0));
    }
}

fn as_number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine that gets so much done in a second when so many are at work, of `clients` that want to be.
    struct Machine {
        concurrency: Concurrency,
        now: Instant,
        clients: usize,
    }

    impl Machine {
        fn new(clients: usize) -> Self {
            Self { concurrency: Concurrency::new(2), now: Instant::now(), clients }
        }

        /// Goes on for some seconds. Returns how many may be at work each tenth of a second.
        fn run(&mut self, seconds: u64, rate: impl Fn(usize) -> f64, strain: impl Fn(usize) -> Strain) -> Vec<usize> {
            let mut seen = Vec::new();
            for tenth in 0..seconds * 10 {
                let at_work = self.concurrency.limit().map_or(self.clients, |limit| limit.min(self.clients));
                // A tenth more or less, as it happens.
                let chance = 0.9 + 0.1 * f64::from(u32::try_from(tenth * 7 % 3).unwrap());
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a made-up rate")]
                let done = (rate(at_work) * chance / 10.0) as u32;
                self.now += Duration::from_millis(100);
                let waiting = self.clients - at_work;
                let strain = strain(at_work);
                self.concurrency.see(Sight { strain, at_work, done, waiting }, self.now);
                seen.push(at_work);
            }
            seen
        }
    }

    fn never(_: usize) -> Strain {
        Strain::None
    }

    fn always(_: usize) -> Strain {
        Strain::Much
    }

    #[test]
    fn a_machine_with_time_limits_nobody() {
        let mut machine = Machine::new(100);
        assert!(machine.run(60, |_| 5_000.0, never).iter().all(|&at_work| at_work == 100));
        assert!(machine.concurrency.allows(10_000));
    }

    #[test]
    fn a_crowd_is_thinned_out_while_as_much_is_done() {
        let mut machine = Machine::new(100);
        let seen = machine.run(5, |_| 9_000.0, always);
        assert_eq!(seen.last(), Some(&4), "two for each of two processors: {seen:?}");
        assert!(machine.run(600, |_| 9_000.0, always).iter().all(|&at_work| at_work == 4));
        assert!(machine.concurrency.allows(3) && !machine.concurrency.allows(4));
    }

    #[test]
    fn what_keeps_processors_busy_is_enough() {
        let mut machine = Machine::new(100);
        machine.run(60, |_| 9_000.0, |at_work| if at_work > 20 { Strain::Much } else { Strain::Some });
        let seen = machine.run(60, |_| 9_000.0, |at_work| if at_work > 20 { Strain::Much } else { Strain::Some });
        assert!(seen.iter().all(|at_work| (12..=20).contains(at_work)), "{seen:?}");
    }

    #[test]
    fn those_who_wait_for_disks_are_left_alone() {
        // Something else takes the processors; each connection does fifty a second, most of which is waiting.
        let each = |at_work| 50.0 * as_number(at_work);
        let mut machine = Machine::new(60);
        let seen = machine.run(600, each, always);
        let mean = seen.iter().sum::<usize>() / seen.len();
        assert!(mean >= 55, "{mean} at work on average, of 60");
    }

    #[test]
    fn a_limit_ends_with_its_reason() {
        let mut machine = Machine::new(100);
        machine.run(10, |_| 9_000.0, always);
        assert!(!machine.concurrency.allows(4));
        // Processors have time again.
        machine.run(10, |_| 9_000.0, never);
        assert!(machine.concurrency.allows(99));
        // Or the crowd has gone, and the processors are busy with something else.
        machine.run(10, |_| 9_000.0, always);
        machine.clients = 10;
        machine.run(30, |_| 100.0, always);
        assert!(machine.concurrency.allows(99));
    }

    #[test]
    fn a_few_are_not_thinned_out() {
        let mut machine = Machine::new(32);
        assert!(machine.run(60, |_| 9_000.0, always).iter().all(|&at_work| at_work == 32));
        machine.clients = 33;
        assert_eq!(machine.run(10, |_| 9_000.0, always).last(), Some(&4));
    }
}
