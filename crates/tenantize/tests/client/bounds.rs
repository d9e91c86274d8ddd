//! Texts that are made to take long, or to become long.

use std::fmt::Write as _;

use domain::Isolation;
use tenantize::client::{Rules, Verdict};

use crate::{SLOTS, refused, rewritten, rules};

const TABLES: &str = "
    CREATE TABLE t (id int, x text);
    ALTER TABLE t ADD COLUMN late int;
    CREATE TABLE w (id int PRIMARY KEY, a_rather_long_name_for_a_column int, another_rather_long_name int);
";

/// Texts of this many parts are done at once, or hardly ever where every part is looked at for every other one.
const MANY: usize = 10_000;

fn list(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_with_query_means_the_table_inside_itself() {
    let rules = rules(TABLES, Isolation::Shared);
    for (sql, expected) in [
        (
            "WITH t AS (SELECT * FROM t) INSERT INTO t SELECT * FROM t",
            r#"WITH t AS (SELECT "t"."id", "t"."x", "t"."late" FROM t) INSERT INTO t ("id", "x", "late") SELECT * FROM t"#,
        ),
        (
            "WITH t AS (SELECT 1), t2 AS (SELECT t.*, * FROM t) INSERT INTO t SELECT * FROM t2",
            r#"WITH t AS (SELECT 1), t2 AS (SELECT t.*, * FROM t) INSERT INTO t ("id", "x") SELECT * FROM t2"#,
        ),
        (
            "WITH u AS (WITH t AS (SELECT 1) SELECT * FROM t) INSERT INTO t SELECT * FROM u",
            r#"WITH u AS (WITH t AS (SELECT 1) SELECT * FROM t) INSERT INTO t ("id") SELECT * FROM u"#,
        ),
        (
            "INSERT INTO t WITH t AS (SELECT 1) SELECT * FROM (WITH t AS (SELECT t.*, 2 FROM t) SELECT * FROM t) s",
            r#"INSERT INTO t ("id", "x") WITH t AS (SELECT 1) SELECT * FROM (WITH t AS (SELECT t.*, 2 FROM t) SELECT * FROM t) s"#,
        ),
        (
            "WITH RECURSIVE t AS (SELECT 1 UNION ALL SELECT * FROM t) INSERT INTO t SELECT * FROM t",
            r#"WITH RECURSIVE t AS (SELECT 1 UNION ALL SELECT * FROM t) INSERT INTO t ("id") SELECT * FROM t"#,
        ),
    ] {
        assert_eq!(rewritten(&rules, sql), expected);
    }
    // How many columns these have is known only of what they recur to.
    let endless = "WITH RECURSIVE a AS (SELECT * FROM b), b AS (SELECT * FROM a) INSERT INTO t SELECT * FROM b";
    assert_eq!(rules.rewrite(endless, true), Verdict::Unchanged);
}

#[test]
fn columns_of_queries_are_counted_once() {
    let rules = rules(TABLES, Isolation::Shared);
    for width in [1, 0] {
        let mut sql = format!("WITH a0 AS (SELECT {})", list(width, |_| "1".to_owned()));
        for level in 1..=200 {
            write!(sql, ", a{level} AS (SELECT * FROM a{0}, a{0} x)", level - 1).expect("written");
        }
        sql.push_str(" INSERT INTO t SELECT * FROM a200");
        assert_eq!(rules.rewrite(&sql, true), Verdict::Unchanged, "no such number of columns");
    }
    let mut nested = "SELECT 1".to_owned();
    for _ in 0..12 {
        nested = format!("SELECT {} FROM ({nested}) s", list(9, |_| "s.*".to_owned()));
    }
    assert_eq!(rules.rewrite(&format!("INSERT INTO t {nested}"), true), Verdict::Unchanged);
}

#[test]
fn stars_do_not_grow_without_bound() {
    let rules = rules(TABLES, Isolation::Shared);
    let stars = |count, from: &str| format!("INSERT INTO w SELECT {} FROM {from}", list(count, |_| "*".to_owned()));
    let few = rewritten(&rules, &stars(20, "w"));
    assert!(few.contains(r#""w"."another_rather_long_name", "w"."id""#), "{few}");
    let wide = stars(1000, &list(1000, |nth| format!("w w{nth}")));
    assert!(refused(&rules, &wide).contains("too many columns"));
    let Verdict::Refused { sqlstate, hint, .. } = rules.rewrite(&wide, true) else { unreachable!("refused above") };
    assert_eq!(sqlstate, "54000");
    assert!(hint.contains("instead of *"), "{hint}");
    // The server refuses these by itself.
    assert_eq!(rules.rewrite(&stars(MANY, "w"), true), Verdict::Unchanged);
    // Together, statements have no more than one of their length.
    let one = stars(1, &list(100, |nth| format!("w w{nth}")));
    assert!(rewritten(&rules, &one).len() < 5 * one.len() + (256 << 10));
    assert!(refused(&rules, &format!("{one};").repeat(300)).contains("too many columns"));
    // Many rows, one by one, have.
    let rows = "INSERT INTO t VALUES (1, 'some text', 2);".repeat(MANY);
    assert!(matches!(rules.rewrite(&rows, true), Verdict::Rewritten(_)));
}

#[test]
fn long_lists_are_read_once() {
    let rules = rules(TABLES, Isolation::Shared);
    let unchanged = |rules: &Rules, sql: &str| assert_eq!(rules.rewrite(sql, true), Verdict::Unchanged);
    let sources = list(MANY, |nth| format!("w w{nth}"));
    let items = list(MANY, |nth| format!("r{}", MANY - nth));
    let results = list(MANY, |nth| format!("{nth} AS r{nth}"));
    unchanged(&rules, &format!("SELECT 1 FROM {sources} GROUP BY {items}"));
    unchanged(&rules, &format!("SELECT {results} FROM w GROUP BY {items}"));
    unchanged(&rules, &format!("SELECT {results} FROM w GROUP BY {}", list(MANY, |nth| (nth + 1).to_string())));
    let with = list(MANY, |nth| format!("w{nth} AS (SELECT 1)"));
    let seen = list(MANY, |nth| format!("w{nth}"));
    unchanged(&rules, &format!("WITH {with} SELECT 1 FROM {seen}, w GROUP BY late"));
    let grouped = "SELECT w.id, x.id FROM w, w x GROUP BY x.id, w.id, id";
    let Verdict::Rewritten(template) = rules.rewrite(grouped, true) else { panic!("{grouped}") };
    assert!(template.render(&SLOTS).contains(r#"GROUP BY "w".tenant_id, "x".tenant_id, x.id"#));
}
