//! Whatever a client and its servers say, in whichever portions, and whoever leaves when: the session ends, servers are sent
//! whole messages, a connection that is given back owes nothing, and the client is told what its own server said.
//! What exactly that means stands in `gateway::fuzzing`.

#![no_main]

use std::sync::LazyLock;

use gateway::fuzzing::{Script, Theatre};
use libfuzzer_sys::fuzz_target;

static THEATRE: LazyLock<Theatre> = LazyLock::new(|| Theatre::open().expect("a theatre"));

fuzz_target!(|script: Script| {
    let outcome = THEATRE.relay(&script).expect("sockets");
    assert!(outcome.broken.is_empty(), "{:#?}", outcome.broken);
});
