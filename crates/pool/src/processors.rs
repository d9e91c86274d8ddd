//! How much this process waits for processors.

use std::fs;
use std::io;
use std::num::NonZero;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::time::Instant;

use crate::concurrency::Strain;

/// What the kernel has counted of each of this process' threads (Linux, Documentation/scheduler/sched-stats): nanoseconds
/// on a processor, nanoseconds ready to run but on none, and how often it has run.
const TASKS: &str = "/proc/self/task";

/// This process' time, for one who looks from time to time.
#[derive(Debug, Default)]
pub(crate) struct Processors {
    last: Option<(Instant, Times)>,
}

/// Of all threads together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Times {
    ran: Duration,
    waited: Duration,
}

impl Processors {
    /// How many there are.
    pub(crate) fn count() -> usize {
        available_parallelism().map_or(1, NonZero::get)
    }

    /// How they were since the last look. `None` where the kernel does not say, or at the first.
    pub(crate) fn look(&mut self, now: Instant) -> Option<Strain> {
        let times = read().ok()?;
        let (at, before) = self.last.replace((now, times))?;
        // A thread that has ended takes its times with it.
        let ran = times.ran.checked_sub(before.ran)?;
        let waited = times.waited.checked_sub(before.waited)?;
        Some(judge(now.saturating_duration_since(at), ran, waited))
    }
}

/// Waiting now and then is nothing, even for one who has little to do.
fn judge(passed: Duration, ran: Duration, waited: Duration) -> Strain {
    if waited > passed / 4 && waited > ran {
        Strain::Much
    } else if waited > passed / 8 && waited > ran / 2 {
        Strain::Some
    } else {
        Strain::None
    }
}

fn read() -> io::Result<Times> {
    let mut sum = Times::default();
    for task in fs::read_dir(TASKS)? {
        // It may have ended since it was listed.
        let Ok(said) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        let times = parse(&said).ok_or(io::ErrorKind::InvalidData)?;
        sum.ran += times.ran;
        sum.waited += times.waited;
    }
    Ok(sum)
}

fn parse(said: &str) -> Option<Times> {
    let mut numbers = said.split_whitespace().map(|word| word.parse().ok().map(Duration::from_nanos));
    Some(Times { ran: numbers.next()??, waited: numbers.next()?? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn what_the_kernel_says_is_read() {
        assert_eq!(parse("1000000 2000000 7\n"), Some(Times { ran: millis(1), waited: millis(2) }));
        for odd in ["", "1", "a b c", "1 -2 3"] {
            assert_eq!(parse(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn waiting_is_judged_by_what_is_done_meanwhile() {
        let judged = |ran, waited| judge(millis(100), millis(ran), millis(waited));
        assert_eq!(judged(0, 0), Strain::None);
        assert_eq!(judged(1, 20), Strain::Some, "there is little to do");
        assert_eq!(judged(180, 20), Strain::None, "two threads are at it all the time");
        assert_eq!(judged(100, 80), Strain::Some);
        assert_eq!(judged(50, 150), Strain::Much);
    }

    #[test]
    fn this_process_has_run() {
        let mut processors = Processors::default();
        let now = Instant::now();
        assert_eq!(processors.look(now), None, "nothing to compare with");
        let before = processors.last.map(|(_, times)| times.ran);
        let began = Instant::now();
        while began.elapsed() < millis(20) {
            std::hint::spin_loop();
        }
        assert!(processors.look(Instant::now()).is_some());
        assert!(processors.last.map(|(_, times)| times.ran) > before);
    }
}
