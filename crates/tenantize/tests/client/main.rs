//! What clients' statements become.

#![expect(clippy::expect_used, clippy::panic, reason = "clippy.toml spares test functions, not what they call")]

use domain::Isolation;
use tenantize::client::{Rules, Slots, Verdict};
use tenantize::{Plan, Sources, SqlFile};

mod any_text;
mod bounds;
mod grouping;
mod paths;
mod places;
mod run;

mod schema;
mod shared;
mod stars;

const SLOTS: Slots<'_> = Slots { schema: "t_1", sequences: "s_1", channel_prefix: "n_0_" };

fn plan(migrations: &str) -> Plan {
    let file = SqlFile { name: "migrations/1.sql".to_owned(), text: migrations.to_owned() };
    let sources = Sources { migrations: vec![file], seed: Vec::new() };
    tenantize::plan(&sources).unwrap_or_else(|refusals| panic!("{refusals}"))
}

fn rules(migrations: &str, isolation: Isolation) -> Rules {
    Rules::new(&plan(migrations), isolation).expect("rules")
}

/// The text that runs in the place of this one, which must be one that [`Rules::concerns`] says yes to.
fn rewritten(rules: &Rules, sql: &str) -> String {
    match rules.rewrite(sql, true) {
        Verdict::Rewritten(template) => {
            assert!(rules.concerns(sql.as_bytes()), "{sql}");
            let text = template.render(&SLOTS);
            if let Err(error) = pg_query::parse(&text, pg_query::ParserOptions::default()) {
                panic!("{text}: {error}");
            }
            text
        }
        other => panic!("{sql}: {other:?}"),
    }
}

/// Why a text is refused.
fn refused(rules: &Rules, sql: &str) -> String {
    match rules.rewrite(sql, true) {
        Verdict::Refused { sqlstate, message, hint } => {
            assert!(rules.concerns(sql.as_bytes()), "{sql}");
            assert!(sqlstate.len() == 5 && hint.ends_with('.'), "{sqlstate} {hint}");
            message
        }
        other => panic!("{sql}: {other:?}"),
    }
}
