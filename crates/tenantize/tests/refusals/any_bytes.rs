//! Property: whatever a file holds, there is a plan or there are refusals.

use proptest::prelude::*;

use crate::plan;

/// Words that come near to SQL more often than bytes do.
const WORDS: [&str; 44] = [
    "CREATE",
    "TABLE",
    "INDEX",
    "UNIQUE",
    "ON",
    "t",
    "u",
    "(",
    ")",
    ",",
    "id",
    "int",
    "text",
    "PRIMARY KEY",
    "REFERENCES",
    "CHECK",
    "DEFAULT",
    "ALTER",
    "ADD",
    "COLUMN",
    "DROP",
    "CONSTRAINT",
    "INSERT INTO",
    "VALUES",
    "SELECT",
    "FROM",
    "WHERE",
    "WITH",
    "AS",
    "*",
    "=",
    "1",
    "'x'",
    "-- sindico: global\n",
    "/*",
    "*/",
    "$$",
    "\"",
    "'",
    ";",
    "\\i",
    "COPY t FROM stdin;",
    "\n",
    "é",
];

proptest! {
    #[test]
    fn bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        check(&text);
    }

    #[test]
    fn words(words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..40)) {
        check(&words.join(" "));
    }
}

fn check(text: &str) {
    const TABLES: &str = "CREATE TABLE t (id int PRIMARY KEY, u text)";
    for outcome in [plan(text, text), plan(TABLES, text)] {
        if let Err(refusals) = outcome {
            assert!(refusals.iter().all(|refusal| refusal.line > 0 && !refusal.reason.is_empty()), "{refusals}");
        }
    }
}

#[test]
fn depth_is_bounded() {
    for text in [
        format!("CREATE TABLE t (a int CHECK ({}true))", "NOT ".repeat(3000)),
        format!("CREATE TABLE t (a int CHECK ({}a{} > 0))", "(".repeat(20_000), ")".repeat(20_000)),
        format!("CREATE TABLE t (a int CHECK ({}1 > 0))", "a + ".repeat(3000)),
    ] {
        let refusals = plan(&text, "").expect_err("too deep");
        assert_eq!(refusals.iter().count(), 1, "{refusals}");
    }
}
