//! Small schemas and statements made up by chance: every isolation gives what a plain database gives.
//!
//! `PROPTEST_CASES` says how many (a case registers an app, makes four tenants and removes nothing before the end, so a
//! few by default). A failure prints its schema and statements; proptest shortens them first.

mod schema;
mod statements;

use std::cell::Cell;

use catalog::AppFile;
use domain::AppName;
use lifecycle::AddApp;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use tenantize::Manifest;

use self::schema::Schema;
use crate::bed::{Bed, Options};
use crate::compare::differences;
use crate::play::Protocol;
use crate::recorded::doors;
use crate::reference::Reference;
use crate::session::Session;

/// Without `PROPTEST_CASES`. More than a minute of them is for whoever asks.
const CASES: u32 = 3;
/// A shortened case takes as long as a whole one.
const SHORTENINGS: u32 = 40;

#[test]
fn any_schema_and_any_statements() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let bed = runtime.block_on(Bed::bare(Options { dedicated_capacity: 10_000, ..Options::default() }));
    let cases =
        std::env::var("PROPTEST_CASES").map_or(CASES, |cases| cases.parse().expect("PROPTEST_CASES is a number"));
    let config = Config { cases, max_shrink_iters: SHORTENINGS, failure_persistence: None, ..Config::default() };
    let strategy = schema::schema().prop_flat_map(|schema| {
        let statements = statements::statements(&schema);
        (Just(schema), statements)
    });
    let case = Cell::new(0);
    let outcome = TestRunner::new(config).run(&strategy, |(schema, statements)| {
        case.set(case.get() + 1);
        runtime.block_on(same_everywhere(&bed, case.get(), &schema, &statements))
    });
    runtime.block_on(bed.close());
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, (schema, statements))) => {
            panic!("{reason}\n\nSchema:\n{}\nStatements:\n{}", schema.ddl(), statements.join(";\n"))
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}

async fn same_everywhere(bed: &Bed, case: u32, schema: &Schema, statements: &[String]) -> Result<(), TestCaseError> {
    let app: AppName = format!("{}_{case}", bed.app).parse().expect("an app name");
    let files = vec![AppFile { path: "migrations/1.sql".to_owned(), content: schema.ddl() }];
    let manifest = Manifest::parse(&format!("name = \"{app}\"")).expect("a manifest");
    let added = bed.lifecycle().add_app(AddApp { manifest, files: files.clone() }).await;
    if let Err(error) = added {
        return Err(TestCaseError::fail(format!("the app is not accepted: {error}")));
    }
    let reference = Reference::build(bed, app.as_str(), &files).await;
    let mut found = Vec::new();
    let session = Session::of_statements("made up", statements);
    // Each protocol in its own half of the cases, for time's sake.
    let protocol = if case.is_multiple_of(2) { Protocol::Extended } else { Protocol::Simple };
    let doors = doors(bed, &app, &reference, "p").await;
    // The same statements by another tenant in the same tables come first: its rows and numbers are in the way.
    let neighbour = crate::recorded::tenant(bed, &app, &format!("n-{case}"), "shared").await;
    let neighbour = crate::door::Door::of_tenant(bed, &neighbour);
    crate::play::play(&session, &neighbour, Protocol::Simple).await;
    found.extend(differences(&session, &doors, protocol).await);
    reference.close().await;
    if found.is_empty() { Ok(()) } else { Err(TestCaseError::fail(found.join("\n"))) }
}
