//! Properties: whatever a client sends, it is let through, rewritten into SQL, or refused; and only what rules are
//! about is changed.

use std::sync::LazyLock;

use domain::Isolation;
use pg_query::ParserOptions;
use proptest::prelude::*;
use tenantize::client::{Rules, Verdict};

use crate::{SLOTS, rules};

const TABLES: &str = r#"
    CREATE TABLE t (id serial PRIMARY KEY, a int); ALTER TABLE t ADD COLUMN b int;
    CREATE TABLE "U" (id int PRIMARY KEY, a int);
    -- sindico: global
    CREATE TABLE g (id int PRIMARY KEY);
"#;

static SHARED: LazyLock<Rules> = LazyLock::new(|| rules(TABLES, Isolation::Shared));
static SCHEMA: LazyLock<Rules> = LazyLock::new(|| rules(TABLES, Isolation::Schema));

/// Phrases that are SQL in many orders.
const PHRASES: [&str; 56] = [
    "SELECT",
    "*",
    "t.*",
    "FROM",
    "t",
    "public.t",
    "\"public\".\"U\"",
    "g",
    "public.g",
    "AS x",
    "WHERE",
    "id",
    "x.id",
    "= 1",
    "GROUP BY",
    "GROUP BY id",
    "ORDER BY 1",
    ",",
    "(",
    ")",
    "INSERT INTO",
    "INSERT INTO t",
    "VALUES (1, 2)",
    "ON CONFLICT (id)",
    "DO NOTHING",
    "DO UPDATE SET a = 1",
    "RETURNING *",
    "WITH q AS (",
    "WITH t AS (SELECT 1)",
    "UNION ALL",
    "EXISTS",
    "IN (SELECT * FROM t)",
    "COPY",
    "FROM STDIN",
    "TO STDOUT",
    "TRUNCATE",
    "CASCADE",
    "LISTEN c",
    "NOTIFY c, 'x'",
    "LOCK",
    "EXPLAIN",
    ";",
    "-- ;\n",
    "/* LOCK */",
    "'it''s'",
    r"'a\'",
    "$1",
    "$$ ; $$",
    "pg_notify('c', 'x')",
    "nextval('public.t_id_seq')",
    "pg_get_serial_sequence('t', 'id')",
    "UPDATE t SET a =",
    "DELETE FROM t",
    "JOIN",
    "ON true",
    "PREPARE p AS",
];

/// The parameters of a text in their order.
fn parameters(text: &str) -> Vec<i32> {
    let scanned = pg_query::scan(text).expect("words").tokens;
    let numbers = scanned.iter().filter(|token| token.token() == pg_query::protobuf::Token::Param);
    let number = |token: &pg_query::protobuf::ScanToken| {
        let place = |at: i32| usize::try_from(at).expect("a place");
        text[place(token.start) + 1..place(token.end)].parse().expect("a number")
    };
    numbers.map(number).collect()
}

fn check(rules: &Rules, sql: &str, standard_strings: bool) {
    match rules.rewrite(sql, standard_strings) {
        Verdict::Unchanged => {}
        Verdict::Refused { .. } => assert!(rules.concerns(sql.as_bytes()), "not asked about: {sql}"),
        Verdict::Rewritten(template) => {
            assert!(rules.concerns(sql.as_bytes()), "not asked about: {sql}");
            let text = template.render(&SLOTS);
            let again = pg_query::parse(&text, ParserOptions::default());
            let again = again.unwrap_or_else(|error| panic!("{sql}\nbecame\n{text}\n{error}"));
            if standard_strings {
                let before = pg_query::parse(sql, ParserOptions::default()).expect("SQL");
                assert_eq!(again.protobuf.stmts.len(), before.protobuf.stmts.len(), "{sql}\nbecame\n{text}");
                assert_eq!(parameters(&text), parameters(sql), "{sql}\nbecame\n{text}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn characters(text in any::<String>(), standard in any::<bool>()) {
        check(&SHARED, &text, standard);
        check(&SCHEMA, &text, standard);
    }

    #[test]
    fn phrases(phrases in prop::collection::vec(prop::sample::select(PHRASES.to_vec()), 0..12), standard in any::<bool>()) {
        let text = phrases.join(" ");
        check(&SHARED, &text, standard);
        check(&SCHEMA, &text, standard);
    }

    /// Statements that parse, of the parts that rules are about.
    #[test]
    fn statements(
        columns in prop::sample::select(vec!["*", "x.*", "id", "x.id, count(*)", "nextval('public.t_id_seq'), $1::int", "pg_notify('c', $1)"]),
        table in prop::sample::select(vec!["t", "public.t", "\"public\".\"U\"", "g", "public.g", "(SELECT * FROM t)", "other.t"]),
        filter in prop::sample::select(vec!["", "WHERE x.id IN (SELECT * FROM \"U\")", "WHERE x.id = $2 /* * */", "WHERE EXISTS (SELECT * FROM t)"]),
        group in prop::sample::select(vec!["", "GROUP BY id", "GROUP BY x.id, 1", "GROUP BY (x.id, a)", "GROUP BY ROLLUP (id)"]),
        around in prop::sample::select(vec![
            ("", ""), ("INSERT INTO t ", ""), ("INSERT INTO public.t AS y ", " ON CONFLICT (id) DO UPDATE SET a = $3"),
            ("", " UNION SELECT * FROM g"), ("WITH q AS (", ") INSERT INTO \"U\" SELECT * FROM q"), ("COPY (", ") TO STDOUT"),
            ("PREPARE p AS ", ""), ("DECLARE c CURSOR FOR ", ""), ("SELECT 1; ", "; SELECT 'public.t'"),
            ("WITH t AS (SELECT 1 AS id) ", ""),
        ]),
    ) {
        let text = format!("{}SELECT {columns} FROM {table} AS x {filter} {group}{}", around.0, around.1);
        prop_assert!(pg_query::parse(&text, ParserOptions::default()).is_ok(), "{}", text);
        check(&SHARED, &text, true);
        check(&SCHEMA, &text, true);
        if let Verdict::Rewritten(template) = SHARED.rewrite(&text, true) {
            let adapted = template.render(&SLOTS);
            prop_assert_eq!(SHARED.rewrite(&adapted, true), Verdict::Unchanged, "{}", adapted);
        }
    }
}
