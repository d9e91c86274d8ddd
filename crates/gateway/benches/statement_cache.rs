//! What reading a statement costs on its way to the server: one that no rule concerns, one that has come before, and one
//! that has not.
//!
//! `cargo bench --package gateway`; needs nothing else. The bars: 1 µs for a statement that has come before, 60 µs for one
//! that has not.

#![expect(clippy::expect_used, reason = "a benchmark's own set-up")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use domain::Isolation;
use gateway::{Clerk, Clerks};
use tenancy::ClientRules;
use tenantize::client::Rules;
use tenantize::{Sources, SqlFile};

const SCHEMA: &str = "
    CREATE TABLE clients (id serial PRIMARY KEY, email text NOT NULL UNIQUE, name text NOT NULL, phone text);
    CREATE TABLE pets (id serial PRIMARY KEY, client_id int NOT NULL REFERENCES clients, name text, born date);";

const PLAIN: &str = "SELECT c.name, p.name, p.born FROM clients c JOIN pets p ON p.client_id = c.id WHERE c.email = $1 \
                     AND p.born > $2 ORDER BY p.born DESC LIMIT 50";

const UPSERT: &str = "INSERT INTO clients (email, name, phone) VALUES ($1, $2, $3) ON CONFLICT (email) DO UPDATE SET \
                      name = excluded.name, phone = excluded.phone WHERE clients.name <> excluded.name RETURNING id";

fn clerk(cache_bytes: usize) -> Arc<Clerk> {
    let file = SqlFile { name: "migrations/1.sql".to_owned(), text: SCHEMA.to_owned() };
    let plan = tenantize::plan(&Sources { migrations: vec![file], seed: vec![] }).expect("a plan");
    let client = ClientRules {
        tenant: "0192f0c1-2345-7abc-8def-0123456789ab".parse().expect("an id"),
        app: "petshop".parse().expect("a name"),
        isolation: Isolation::Shared,
        version: 1,
        rules: Arc::new(Rules::new(&plan, Isolation::Shared).expect("shared tables have rules")),
        schema: "public".to_owned(),
        sequences: "s_0192f0c123457abc8def0123456789ab".to_owned(),
        channel_prefix: "n_0123456789abcdef01234_".to_owned(),
    };
    Clerks::new(cache_bytes, 1 << 20, 1 << 20).serve(client, [])
}

fn statements(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("statement");
    for (name, sql, cache_bytes, changes) in [
        ("no rule's concern", PLAIN, 1 << 20, false),
        ("has come before", UPSERT, 1 << 20, true),
        ("is new", UPSERT, 0, true),
    ] {
        let clerk = clerk(cache_bytes);
        let body = format!("\0{sql}\0\0\0").into_bytes();
        let answer = || clerk.answer(b'P', black_box(&body), clerk.dialect(), true);
        assert_eq!(answer().is_some(), changes, "{name}");
        group.bench_function(name, |bencher| bencher.iter(answer));
    }
    group.finish();
}

criterion_group!(benches, statements);
criterion_main!(benches);
