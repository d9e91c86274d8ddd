//! As many made-up sessions as fit into a few seconds, the same ones each time.

use std::time::{Duration, Instant};

use arbitrary::{Arbitrary as _, Unstructured};

use super::{Act, Script, Theatre};

/// How long to try.
const LONG: Duration = Duration::from_secs(3);

/// Bytes that nobody would choose: splitmix64.
fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let numbers = std::iter::repeat_with(|| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    });
    numbers.flat_map(u64::to_le_bytes).take(len).collect()
}

fn script(seed: u64) -> Script {
    let len = 20 + usize::try_from(seed % 7).expect("small") * 40;
    Script::arbitrary(&mut Unstructured::new(&bytes(seed, len))).expect("more bytes than it takes")
}

/// Leaves out what is not needed for something to break.
fn shrink(theatre: &Theatre, mut script: Script) -> Script {
    let breaks = |script: &Script| (0..3).any(|_| !theatre.relay(script).expect("sockets").broken.is_empty());
    for len in [32, 8, 4, 2, 1, 1] {
        let mut at = script.acts.len();
        while at > 0 {
            at = at.saturating_sub(len);
            let mut less = script.clone();
            less.acts.drain(at..(at + len).min(less.acts.len()));
            if breaks(&less) {
                script = less;
            }
        }
    }
    for plain in [
        |script: &mut Script| script.clerk = false,
        |script: &mut Script| script.narrow = false,
        |script: &mut Script| script.others = false,
        |script: &mut Script| script.limits = false,
    ] {
        let mut less = script.clone();
        plain(&mut less);
        if breaks(&less) {
            script = less;
        }
    }
    script
}

/// `SINDICO_SCRIPT=<seed>` plays one of them, `SINDICO_SCRIPTS=<count>` so many.
#[test]
fn whatever_is_said_nobody_hears_what_is_not_for_them() {
    let theatre = Theatre::open().expect("a theatre");
    let number = |name| std::env::var(name).ok().map(|value| value.parse::<u64>().expect("a number"));
    let one = number("SINDICO_SCRIPT");
    let many = number("SINDICO_SCRIPTS");
    let seeds = one.map_or(0..many.unwrap_or(u64::MAX), |seed| seed..seed + 1);
    let (begun, mut played, mut compared, mut released, mut heard) = (Instant::now(), 0_u32, 0_u32, 0_u32, 0);
    for seed in seeds {
        if one.or(many).is_none() && begun.elapsed() > LONG {
            break;
        }
        let script = script(seed);
        let outcome = theatre.relay(&script).expect("sockets");
        if !outcome.broken.is_empty() {
            let script = shrink(&theatre, script);
            let broken = theatre.relay(&script).expect("sockets").broken;
            panic!("seed {seed}: {broken:#?} instead of {:#?} after {script:?}", outcome.broken);
        }
        played += 1;
        compared += u32::from(outcome.compared);
        released += outcome.released;
        heard += outcome.heard;
    }
    println!("{played} sessions, {compared} compared, {released} connections given back, {heard} messages heard");
    if one.is_none() {
        assert!(
            played >= 50 && compared > played / 5 && released > played / 5,
            "too little was tried to tell anything"
        );
        assert!(heard > usize::try_from(played).expect("few"));
    }
}

#[test]
fn acts_are_of_every_kind() {
    let acts: Vec<Act> = (0..500).flat_map(|seed| script(seed).acts).collect();
    let kinds: std::collections::HashSet<_> = acts.iter().map(std::mem::discriminant).collect();
    assert_eq!(kinds.len(), 15, "{kinds:?}");
}
