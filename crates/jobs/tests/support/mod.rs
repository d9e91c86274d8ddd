//! A control database of a test's own, and steps that say what they do.

mod database;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jobs::{Act, Claim, Fault, Jobs, NewOperation, Procedure, Step, Work};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use self::database::database;
pub(crate) use self::database::run;

/// A database with the tables that operations need.
pub(crate) struct Ground {
    pub(crate) jobs: Jobs,
    pub(crate) db: PgPool,
    scratch: Option<devdb::Scratch>,
}

impl Ground {
    pub(crate) async fn make() -> Self {
        let tables = [include_str!("../../../catalog/migrations/0003_operations.sql")];
        let (db, _, scratch) = database("jobs", &tables).await;
        Self { jobs: Jobs::new(db.clone()), db, scratch }
    }

    pub(crate) async fn enqueue(&self, kind: &str) -> Claim {
        let mut tx = self.db.begin().await.expect("a transaction");
        let new =
            NewOperation { kind, subject: Uuid::now_v7(), title: "acme", input: json!({"answer": 42}), priority: 0 };
        let claim = self.jobs.enqueue(&mut tx, new).await.expect("recorded");
        tx.commit().await.expect("committed");
        claim
    }

    /// As if so much time had passed that every lease is over and what was put off is due.
    pub(crate) async fn pass(&self) {
        run(
            &self.db,
            "UPDATE sindico.operations SET leased_until = leased_until - interval '1 hour', due_at = due_at - interval '1 hour'",
        )
        .await;
    }

    /// How the operation stands, and each of its steps.
    pub(crate) async fn standing(&self, id: Uuid) -> Vec<String> {
        let operation = self.jobs.operation(id).await.expect("read").expect("known");
        let mut all = vec![operation.state.as_str().to_owned()];
        let steps = self.jobs.steps(id).await.expect("read");
        all.extend(steps.iter().map(|step| format!("{} {} {}", step.name, step.state, step.attempts)));
        all
    }

    pub(crate) async fn close(self) {
        self.db.close().await;
        if let Some(scratch) = self.scratch {
            scratch.stop().await.expect("stopped");
        }
    }
}

/// What steps have done and not undone, and everything that they did.
#[derive(Default, Clone)]
pub(crate) struct World(Arc<Mutex<(BTreeSet<&'static str>, Vec<String>)>>);

impl World {
    pub(crate) fn there(&self) -> Vec<&'static str> {
        self.0.lock().expect("sound").0.iter().copied().collect()
    }

    pub(crate) fn said(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("sound").1)
    }
}

/// What happens at a step: asked before it does something (`true`), and after; and the same of undoing.
pub(crate) type Fate = Arc<dyn Fn(&str) -> Result<(), Fault> + Send + Sync>;

struct Note {
    name: &'static str,
    world: World,
    fate: Fate,
}

impl Step for Note {
    fn name(&self) -> &'static str {
        self.name
    }

    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            (self.fate)(&format!("before {}", self.name))?;
            work.holds().await?;
            {
                let mut world = self.world.0.lock().expect("sound");
                assert!(world.0.insert(self.name), "{} is done over what is there", self.name);
                world.1.push(self.name.to_owned());
            }
            (self.fate)(&format!("after {}", self.name))?;
            Ok(json!({"made": self.name}))
        })
    }

    fn undo<'a>(&'a self, work: &'a Work) -> Act<'a, ()> {
        Box::pin(async move {
            (self.fate)(&format!("before undoing {}", self.name))?;
            work.holds().await?;
            {
                let mut world = self.world.0.lock().expect("sound");
                world.0.remove(self.name);
                world.1.push(format!("-{}", self.name));
            }
            (self.fate)(&format!("after undoing {}", self.name))
        })
    }
}

pub(crate) const NAMES: [&str; 3] = ["one", "two", "three"];

pub(crate) fn steps(world: &World, fate: &Fate) -> Vec<Box<dyn Step>> {
    let note = |name| -> Box<dyn Step> { Box::new(Note { name, world: world.clone(), fate: Arc::clone(fate) }) };
    NAMES.map(note).into()
}

pub(crate) fn reversible(world: &World, fate: impl Fn(&str) -> Result<(), Fault> + Send + Sync + 'static) -> Procedure {
    Procedure::reversible(steps(world, &(Arc::new(fate) as Fate)))
}

/// The same that is put off while what keeps it may pass, for an hour after it was recorded.
pub(crate) fn patient(world: &World, fate: impl Fn(&str) -> Result<(), Fault> + Send + Sync + 'static) -> Procedure {
    Procedure::patient(steps(world, &(Arc::new(fate) as Fate)), Duration::from_hours(1))
}

pub(crate) fn unstoppable(
    world: &World,
    fate: impl Fn(&str) -> Result<(), Fault> + Send + Sync + 'static,
) -> Procedure {
    Procedure::unstoppable(steps(world, &(Arc::new(fate) as Fate)))
}
