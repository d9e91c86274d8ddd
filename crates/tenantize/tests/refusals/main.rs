//! What is refused, where and in which words; and that nothing makes the reader panic.

#![expect(clippy::expect_used, clippy::panic, reason = "clippy.toml spares test functions, not what they call")]

mod accepted;
mod any_bytes;
mod following;
mod migrations;
mod owner_rights;
mod places;
mod seed;
mod stars;

use tenantize::{Plan, Refusals, Sources, SqlFile};

/// A plan from one migration and one file of seed; an empty text is an absent file.
fn plan(migration: &str, seed: &str) -> Result<Plan, Refusals> {
    let file = |name: &str, text: &str| SqlFile { name: name.to_owned(), text: text.to_owned() };
    let seed = if seed.is_empty() { vec![] } else { vec![file("seed/1.sql", seed)] };
    tenantize::plan(&Sources { migrations: vec![file("migrations/1.sql", migration)], seed })
}

/// Checks that there is exactly one refusal, with these words in it.
#[track_caller]
fn assert_refused(migration: &str, seed: &str, words: &str) {
    let refusals = plan(migration, seed).expect_err(words);
    let all: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    assert_eq!(all.len(), 1, "{migration}{seed}: {all:#?}");
    assert!(all[0].contains(words), "{migration}{seed}\nexpected: {words}\nrefusal:  {}", all[0]);
    assert!(refusals.iter().all(|refusal| !refusal.remedy.is_empty() && !refusal.statement.is_empty()), "{all:?}");
}
