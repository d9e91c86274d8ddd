//! Made-up sessions, the same ones each time, and those that have broken something before.

use std::collections::HashSet;
use std::mem::discriminant;
use std::ops::Range;

use arbitrary::{Arbitrary as _, Unstructured};

use super::{Act, Ask, Script, Theatre};

/// What is played unless `SINDICO_SCRIPTS=<first>..<end>` says otherwise: a few seconds.
const SCRIPTS: Range<u64> = 0..1000;

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
    Script::arbitrary(&mut Unstructured::new(&bytes(seed, len))).expect("a script in any bytes")
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
    script
}

fn scripts() -> Range<u64> {
    let Ok(wanted) = std::env::var("SINDICO_SCRIPTS") else { return SCRIPTS };
    let (first, end) = wanted.split_once("..").expect("first..end");
    first.parse().expect("a number")..end.parse().expect("a number")
}

#[test]
fn whatever_is_said_nobody_hears_what_is_not_for_them() {
    let theatre = Theatre::open().expect("a theatre");
    let (mut compared, mut released, mut heard) = (0, 0, 0);
    for seed in scripts() {
        let script = script(seed);
        let outcome = theatre.relay(&script).expect("sockets");
        if !outcome.broken.is_empty() {
            let script = shrink(&theatre, script);
            let broken = theatre.relay(&script).expect("sockets").broken;
            panic!("script {seed}: {broken:#?} after {script:?}, or {:#?} after all of it", outcome.broken);
        }
        compared += usize::from(outcome.compared);
        released += outcome.released;
        heard += outcome.heard;
    }
    println!("{compared} sessions compared, {released} connections given back, {heard} messages heard");
    if scripts() == SCRIPTS {
        assert!(compared > 70 && released > 1000 && heard > 15_000, "too little was tried to tell anything");
    }
}

#[test]
fn acts_are_of_every_kind() {
    let acts: Vec<Act> = (0..500).flat_map(|seed| script(seed).acts).collect();
    let kinds: HashSet<_> = acts.iter().map(discriminant).collect();
    assert_eq!(kinds.len(), 15, "{kinds:?}");
}

/// What the client says has to come out as without a gateway, sent at once or message by message.
fn plays(asks: &[Ask]) {
    let theatre = Theatre::open().expect("a theatre");
    let at_once = asks.iter().map(|ask| Act::Ask(*ask)).collect();
    let flow = |ask: &Ask| [Act::Ask(*ask), Act::Send(u16::MAX), Act::Work(u8::MAX), Act::Answer(u16::MAX)];
    for acts in [at_once, asks.iter().flat_map(flow).collect::<Vec<_>>()] {
        for others in [true, false] {
            let outcome = theatre.relay(&Script { pooled: true, others, acts: acts.clone(), ..Script::default() });
            let outcome = outcome.expect("sockets");
            assert!(outcome.compared && outcome.broken.is_empty(), "{:#?} after {acts:?}", outcome.broken);
        }
    }
}

#[test]
fn what_is_sent_behind_the_data_of_a_copy_is_answered_behind_it() {
    let (copy, data) = (Ask::Query(16), Ask::CopyData(1));
    plays(&[
        Ask::Parse(1, 0),
        Ask::Sync,
        copy,
        data,
        Ask::CopyDone,
        Ask::CloseStatement(1),
        Ask::Parse(1, 1),
        Ask::Sync,
    ]);
}

#[test]
fn an_unnamed_statement_is_what_the_last_message_made_it() {
    // The first of them is refused, since there is one already.
    let named = [Ask::Parse(1, 0), Ask::Sync, Ask::Parse(1, 1), Ask::Sync];
    let unnamed = [Ask::Parse(0, 6), Ask::Sync, Ask::Bind(0, 0), Ask::Execute(0, 0), Ask::Sync];
    plays(&[&named[..], &unnamed, &unnamed[2..]].concat());
    // `SYNTAX` ends the one before it, whatever comes behind.
    let wrong = [Ask::Parse(0, 8), Ask::Sync];
    plays(&[&unnamed[..], &wrong, &unnamed[2..]].concat());
    plays(&[&wrong[..], &unnamed, &wrong, &unnamed].concat());
    plays(&[&wrong[..], &[Ask::Query(0)], &unnamed[2..]].concat());
}

#[test]
fn discard_all_leaves_the_unnamed_statement() {
    let discard = [Ask::Parse(0, 21), Ask::Bind(0, 0), Ask::Execute(0, 0), Ask::Sync];
    plays(&[&discard[..], &discard[1..]].concat());
}

#[test]
fn closing_an_unnamed_statement_closes_it_whosever_it_is() {
    plays(&[Ask::CloseStatement(0), Ask::Sync, Ask::Query(0), Ask::CloseStatement(0), Ask::Sync]);
}

#[test]
fn a_name_is_given_up_as_soon_as_it_is_known_to_be_one() {
    // The `Parse` is skipped, so there is no such statement.
    plays(&[Ask::Execute(0, 0), Ask::Parse(1, 11), Ask::Sync, Ask::Query(19)]);
}

#[test]
fn nothing_of_a_message_out_of_place_reaches_the_client() {
    let theatre = Theatre::open().expect("a theatre");
    // A request for a password, and then one of which only the beginning has come.
    for message in [&b"R\0\0\0\x08\0\0\0\x03"[..], b"R\0\0\0\x08\0"] {
        let acts = vec![Act::Gibber(message.to_vec()), Act::Answer(u16::MAX)];
        let outcome = theatre.relay(&Script { acts, ..Script::default() }).expect("sockets");
        assert!(outcome.broken.is_empty() && outcome.heard == 1, "{outcome:?}");
    }
}
