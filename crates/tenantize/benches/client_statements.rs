//! What a client's statement costs: the look at every text, and the rewriting of those that need it, beside
//! PostgreSQL's own parser on the same text in the same run.
//!
//! `cargo bench --package tenantize --bench client_statements`. Bars: 1 µs for the look, 60 µs for the rewriting of an
//! ordinary statement.

use std::error::Error;
use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use domain::Isolation;
use pg_query::ParserOptions;
use tenantize::client::{Rules, Slots, Verdict};
use tenantize::{Sources, SqlFile};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Times that are told from each other by their middle one.
const ROUNDS: usize = 101;
const ROUND: Duration = Duration::from_millis(10);

const TABLES: &str = r#"
    CREATE TABLE "User" (id serial PRIMARY KEY, email text UNIQUE, name text, created_at timestamptz DEFAULT now());
    CREATE TABLE posts (id serial PRIMARY KEY, author_id int REFERENCES "User", title text, body text);
    CREATE TABLE tags (post_id int REFERENCES posts, name text, PRIMARY KEY (post_id, name));
"#;

const STATEMENTS: [(&str, Isolation, &str); 8] = [
    ("point select", Isolation::Shared, "SELECT id, title, body FROM posts WHERE id = $1"),
    ("insert", Isolation::Shared, "INSERT INTO posts (author_id, title, body) VALUES ($1, $2, $3) RETURNING id"),
    (
        "join",
        Isolation::Shared,
        "SELECT p.id, p.title, u.name, count(t.name) AS tags FROM posts p JOIN \"User\" u ON u.id = p.author_id \
         LEFT JOIN tags t ON t.post_id = p.id WHERE u.email = $1 AND p.title ILIKE $2 ORDER BY p.id DESC LIMIT 20",
    ),
    (
        "prisma",
        Isolation::Shared,
        r#"SELECT "public"."User"."id", "public"."User"."email", "public"."User"."name" FROM "public"."User" WHERE ("public"."User"."email" = $1 AND 1=1) ORDER BY "public"."User"."id" ASC LIMIT $2 OFFSET $3"#,
    ),
    (
        "upsert",
        Isolation::Shared,
        "INSERT INTO \"User\" (email, name) VALUES ($1, $2) ON CONFLICT (email) DO UPDATE SET name = excluded.name \
         RETURNING id",
    ),
    (
        "group by key",
        Isolation::Shared,
        "SELECT u.id, u.name, u.email, count(*) FROM \"User\" u JOIN posts p ON p.author_id = u.id \
         WHERE u.created_at > $1 GROUP BY u.id ORDER BY count(*) DESC LIMIT 10",
    ),
    ("copy", Isolation::Shared, "COPY posts (author_id, title, body) FROM STDIN WITH (FORMAT csv)"),
    (
        "prisma",
        Isolation::Schema,
        r#"SELECT "public"."User"."id", "public"."User"."email", "public"."User"."name" FROM "public"."User" WHERE ("public"."User"."email" = $1 AND 1=1) ORDER BY "public"."User"."id" ASC LIMIT $2 OFFSET $3"#,
    ),
];

fn main() -> Outcome<()> {
    let file = SqlFile { name: "migrations/1.sql".to_owned(), text: TABLES.to_owned() };
    let plan = tenantize::plan(&Sources { migrations: vec![file], seed: Vec::new() })?;
    let slots = Slots {
        schema: "t_0123456789abcdef0123456789abcdef",
        sequences: "s_0123456789abcdef0123456789abcdef",
        channel_prefix: "n_012345678901234567890_",
    };
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:<22}{:>8}{:>11}{:>11}{:>11}{:>11}{:>10}{:>10}",
        "µs", "bytes", "look", "parse", "rewrite", "render", "look/p", "rewr/p"
    )?;
    for (name, isolation, sql) in STATEMENTS {
        let rules = Rules::new(&plan, isolation).ok_or("no rules")?;
        let look = micros(|| rules.concerns(black_box(sql).as_bytes()));
        let parse = micros(|| pg_query::parse(black_box(sql), ParserOptions::default()));
        let rewrite = micros(|| rules.rewrite(black_box(sql), true));
        let render = match rules.rewrite(sql, true) {
            Verdict::Rewritten(template) => micros(|| template.render(black_box(&slots))),
            Verdict::Unchanged | Verdict::Refused { .. } => 0.0,
        };
        let read = if rules.concerns(sql.as_bytes()) { "" } else { "-" };
        writeln!(
            out,
            "{:<22}{:>8}{look:>11.3}{parse:>11.2}{:>11}{render:>11.3}{:>10.4}{:>10.3}",
            format!("{isolation} {name}"),
            sql.len(),
            format!("{read}{rewrite:.2}"),
            look / parse,
            rewrite / parse,
        )?;
    }
    writeln!(out, "A rewrite with - before it is of a text that nobody asks about.")?;
    Ok(())
}

/// Microseconds of one call: the middle of many rounds.
fn micros<T>(mut call: impl FnMut() -> T) -> f64 {
    let mut calls = 1_u32;
    while time(&mut call, calls) < ROUND && calls < 1 << 24 {
        calls *= 2;
    }
    let mut times: Vec<Duration> = (0..ROUNDS).map(|_| time(&mut call, calls)).collect();
    times.sort_unstable();
    times.get(ROUNDS / 2).map_or(0.0, |middle| middle.as_secs_f64() * 1e6 / f64::from(calls))
}

fn time<T>(call: &mut impl FnMut() -> T, calls: u32) -> Duration {
    let start = Instant::now();
    for _ in 0..calls {
        black_box(call());
    }
    start.elapsed()
}
