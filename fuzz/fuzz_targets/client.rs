//! Whatever a client sends: the rules answer without a panic, what they rewrite is SQL if the text was, as many statements as
//! before, and what they change is something that they asked to see.

#![no_main]

use std::sync::LazyLock;

use domain::Isolation;
use libfuzzer_sys::fuzz_target;
use tenantize::client::{Rules, Slots, Verdict};
use tenantize::{Sources, SqlFile};

const TABLES: &str = "
    CREATE TYPE mood AS ENUM ('ok', 'bad');
    CREATE TABLE t (id serial PRIMARY KEY, u text UNIQUE, n int DEFAULT 1, m mood);
    ALTER TABLE t ADD COLUMN late text;
    CREATE TABLE \"User\" (\"Id\" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t int REFERENCES t (id), UNIQUE (t));
    CREATE VIEW v AS SELECT id, u FROM t;
    -- sindico: global
    CREATE TABLE g (code text PRIMARY KEY, name text);";

/// One text is judged by the rules of both isolations that share a database.
static RULES: LazyLock<Vec<Rules>> = LazyLock::new(|| {
    let migrations = vec![SqlFile { name: "migrations/1.sql".to_owned(), text: TABLES.to_owned() }];
    let plan = tenantize::plan(&Sources { migrations, seed: Vec::new() }).expect("a good app");
    [Isolation::Shared, Isolation::Schema].into_iter().filter_map(|kind| Rules::new(&plan, kind)).collect()
});

fuzz_target!(|data: &[u8]| {
    let Some((&mode, rest)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    if text.contains('\0') {
        return;
    }
    let standard_strings = mode % 4 != 0;
    for rules in RULES.iter() {
        let Verdict::Rewritten(template) = rules.rewrite(text, standard_strings) else { continue };
        assert!(rules.concerns(text.as_bytes()), "changed without having asked: {text}");
        let rewritten = template.render(&Slots { schema: "t_1", sequences: "s_1", channel_prefix: "n_0123456789abcdef01234_" });
        if standard_strings {
            let before = pg_query::parse(text, pg_query::ParserOptions::default()).expect("only SQL is rewritten").protobuf.stmts.len();
            let after = pg_query::parse(&rewritten, pg_query::ParserOptions::default()).unwrap_or_else(|error| panic!("{error}: {text} => {rewritten}"));
            assert_eq!(before, after.protobuf.stmts.len(), "{text} => {rewritten}");
        }
    }
});
