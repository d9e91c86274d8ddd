//! Operations end as they should: whatever fails, whoever dies, and whoever comes back from the dead.

#![expect(clippy::expect_used, clippy::panic, reason = "a test's helpers fail the test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jobs::{Act, Ended, Fault, JobsError, NewOperation, OperationFilter, Procedure, State, Step, Work};
use serde_json::{Value, json};
use support::{Ground, NAMES, World, patient, reversible, run, unstoppable};
use tokio::sync::Notify;
use uuid::Uuid;

fn lasting(what: &str) -> Fault {
    Fault::Lasting(what.to_owned().into())
}

fn passing(what: &str) -> Fault {
    Fault::Passing(what.to_owned().into())
}

#[tokio::test]
async fn steps_are_done_in_order_and_written_down() {
    let ground = Ground::make().await;
    let (world, claim) = (World::default(), ground.enqueue("make").await);
    let id = claim.operation();
    assert_eq!(ground.standing(id).await, ["queued"]);
    let ended = ground.jobs.run(claim, &reversible(&world, |_| Ok(()))).await;
    assert!(matches!(ended, Ended::Succeeded), "{ended:?}");
    assert_eq!(world.said(), NAMES);
    assert_eq!(ground.standing(id).await, ["succeeded", "one done 1", "two done 1", "three done 1"]);
    let steps = ground.jobs.steps(id).await.expect("read");
    assert_eq!(steps[1].output, Some(json!({"made": "two"})));
    assert!(steps.iter().all(|step| step.ended_at >= Some(step.begun_at)));
    let all = ground.jobs.operations(&OperationFilter { limit: 10, ..OperationFilter::default() }).await.expect("read");
    assert_eq!((all.len(), all[0].id, all[0].title.as_str(), all[0].state), (1, id, "acme", State::Succeeded));
    assert!(ground.jobs.claim(&["make"]).await.expect("asked").is_none(), "nothing is left to do");
    assert_eq!(ground.jobs.purge(30).await.expect("purged"), 0);
    assert_eq!(ground.jobs.purge(0).await.expect("purged"), 1);
    ground.close().await;
}

#[tokio::test]
async fn what_fails_is_undone_in_reverse() {
    let ground = Ground::make().await;
    for (at, left) in
        [("before one", vec!["one undone 1"]), ("after three", vec!["one undone 1", "two undone 1", "three undone 1"])]
    {
        let (world, claim) = (World::default(), ground.enqueue("make").await);
        let id = claim.operation();
        let procedure = reversible(&world, move |now| if now == at { Err(lasting("no luck")) } else { Ok(()) });
        let ended = ground.jobs.run(claim, &procedure).await;
        assert!(matches!(&ended, Ended::Undone(Some(cause)) if cause.to_string() == "no luck"), "{ended:?}");
        assert_eq!(world.there(), Vec::<&str>::new());
        assert_eq!(ground.standing(id).await, [vec!["failed"], left].concat());
        assert_eq!(ground.jobs.operation(id).await.expect("read").expect("known").error.as_deref(), Some("no luck"));
    }
    ground.close().await;
}

#[tokio::test]
async fn what_may_pass_is_tried_again_over_nothing() {
    let ground = Ground::make().await;
    let (world, claim, left) = (World::default(), ground.enqueue("make").await, AtomicU32::new(2));
    let id = claim.operation();
    // The step is done, and says that it is not: the worst that can be.
    let procedure = reversible(&world, move |now| {
        let fails =
            now == "after two" && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |it| it.checked_sub(1)).is_ok();
        if fails { Err(passing("try again")) } else { Ok(()) }
    });
    let ended = ground.jobs.run(claim, &procedure).await;
    assert!(matches!(ended, Ended::Succeeded), "{ended:?}");
    assert_eq!(world.said(), ["one", "two", "-two", "two", "-two", "two", "three"]);
    assert_eq!(ground.standing(id).await[0], "succeeded");
    ground.close().await;
}

#[tokio::test]
async fn what_cannot_be_undone_yet_is_undone_later() {
    let ground = Ground::make().await;
    let (world, claim) = (World::default(), ground.enqueue("make").await);
    let id = claim.operation();
    let stuck = reversible(&world, |now| match now {
        "before three" => Err(lasting("no luck")),
        "before undoing two" => Err(passing("not now")),
        _ => Ok(()),
    });
    let ended = ground.jobs.run(claim, &stuck).await;
    assert!(
        matches!(&ended, Ended::UndoPutOff(Some(cause), why) if cause.to_string() == "no luck" && why.to_string() == "not now")
    );
    assert_eq!(ground.standing(id).await, ["undoing", "one done 1", "two done 1", "three undone 1"]);
    assert!(ground.jobs.operation(id).await.expect("read").expect("known").due_at.is_some());
    assert!(ground.jobs.claim(&["make"]).await.expect("asked").is_none(), "not yet");
    ground.pass().await;
    let claim = ground.jobs.claim(&["make"]).await.expect("asked").expect("due");
    let ended = ground.jobs.run(claim, &reversible(&world, |_| Ok(()))).await;
    assert!(matches!(&ended, Ended::Undone(Some(cause)) if cause.to_string() == "no luck"), "{ended:?}");
    assert_eq!(world.there(), Vec::<&str>::new());
    assert_eq!(ground.standing(id).await[0], "failed");
    ground.close().await;
}

#[tokio::test]
async fn what_must_be_done_is_tried_for_ever() {
    let ground = Ground::make().await;
    let (world, claim) = (World::default(), ground.enqueue("remove").await);
    let id = claim.operation();
    let ended = ground
        .jobs
        .run(claim, &unstoppable(&world, |now| if now == "before two" { Err(lasting("no")) } else { Ok(()) }))
        .await;
    assert!(matches!(ended, Ended::PutOff(_)), "{ended:?}");
    assert!(!ground.jobs.cancel(id, &["make"]).await.expect("asked"), "this kind cannot be cancelled");
    for _ in 0..3 {
        ground.pass().await;
        let claim = ground.jobs.claim(&["remove"]).await.expect("asked").expect("due");
        let ended = ground
            .jobs
            .run(claim, &unstoppable(&world, |now| if now == "before two" { Err(lasting("no")) } else { Ok(()) }))
            .await;
        assert!(matches!(ended, Ended::PutOff(_)), "{ended:?}");
    }
    ground.pass().await;
    let claim = ground.jobs.claim(&["remove"]).await.expect("asked").expect("due");
    assert!(matches!(ground.jobs.run(claim, &unstoppable(&world, |_| Ok(()))).await, Ended::Succeeded));
    assert_eq!((world.there().len(), ground.standing(id).await[0].as_str()), (3, "succeeded"));
    ground.close().await;
}

/// What may pass is waited for, but not for ever; what will not pass is not waited for.
#[tokio::test]
async fn a_patient_one_is_put_off_until_it_is_too_old() {
    let ground = Ground::make().await;
    let world = World::default();
    let fails = |now: &str| if now == "before two" { Err(passing("not now")) } else { Ok(()) };
    let claim = ground.enqueue("write").await;
    let id = claim.operation();
    let ended = ground.jobs.run(claim, &patient(&world, fails)).await;
    assert!(matches!(ended, Ended::PutOff(_)), "{ended:?}");
    run(&ground.db, "UPDATE sindico.operations SET created_at = created_at - interval '59 minutes'").await;
    ground.pass().await;
    let claim = ground.jobs.claim(&["write"]).await.expect("asked").expect("due");
    assert!(matches!(ground.jobs.run(claim, &patient(&world, fails)).await, Ended::PutOff(_)));
    run(&ground.db, "UPDATE sindico.operations SET created_at = created_at - interval '2 minutes'").await;
    ground.pass().await;
    let claim = ground.jobs.claim(&["write"]).await.expect("asked").expect("due");
    let ended = ground.jobs.run(claim, &patient(&world, fails)).await;
    assert!(matches!(ended, Ended::Undone(Some(_))), "{ended:?}");
    assert_eq!((world.there().len(), ground.standing(id).await[0].as_str()), (0, "failed"));

    let claim = ground.enqueue("write").await;
    let ended = ground
        .jobs
        .run(claim, &patient(&world, |now| if now == "before two" { Err(lasting("no")) } else { Ok(()) }))
        .await;
    assert!(matches!(ended, Ended::Undone(Some(_))), "{ended:?}");

    // While it waits, it can be cancelled.
    let claim = ground.enqueue("write").await;
    let id = claim.operation();
    assert!(matches!(ground.jobs.run(claim, &patient(&world, fails)).await, Ended::PutOff(_)));
    assert!(ground.jobs.cancel(id, &["write"]).await.expect("asked"));
    ground.pass().await;
    let claim = ground.jobs.claim(&["write"]).await.expect("asked").expect("due");
    assert!(matches!(ground.jobs.run(claim, &patient(&world, |_| Ok(()))).await, Ended::Undone(None)));
    ground.close().await;
}

/// The control database's clock is set back an hour: nobody waits for it to come there again. Whoever has the lease and loses it so changes
/// nothing any more.
#[tokio::test]
async fn a_clock_that_is_set_back_holds_nothing_up() {
    let ground = Ground::make().await;
    let world = World::default();
    let fails = |now: &str| if now == "before two" { Err(lasting("no")) } else { Ok(()) };
    let put_off = ground.enqueue("remove").await;
    let id = put_off.operation();
    assert!(matches!(ground.jobs.run(put_off, &unstoppable(&world, fails)).await, Ended::PutOff(_)));
    assert!(ground.jobs.claim(&["remove"]).await.expect("asked").is_none(), "it is put off");
    run(&ground.db, "UPDATE sindico.operations SET due_at = due_at + interval '1 hour'").await;
    let held = ground.jobs.claim(&["remove"]).await.expect("asked").expect("due");
    assert!(ground.jobs.claim_early(&["remove"], &[]).await.expect("asked").is_none(), "it is leased");
    run(&ground.db, "UPDATE sindico.operations SET leased_until = leased_until + interval '1 hour'").await;
    let taken = ground.jobs.claim_early(&["remove"], &[]).await.expect("asked").expect("nobody is at it");
    assert!(matches!(ground.jobs.run(held, &unstoppable(&world, |_| Ok(()))).await, Ended::Lost));
    assert!(matches!(ground.jobs.run(taken, &unstoppable(&world, |_| Ok(()))).await, Ended::Succeeded));
    assert_eq!((world.there().len(), ground.standing(id).await[0].as_str()), (3, "succeeded"));
    ground.close().await;
}

/// A step that waits until it is told to go on.
struct Slow {
    entered: Arc<Notify>,
    go: Arc<Notify>,
}

impl Step for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            work.progress(1, 2).await?;
            self.entered.notify_one();
            self.go.notified().await;
            work.begin().await?.commit().await?;
            Ok(Value::Null)
        })
    }

    fn undo<'a>(&'a self, _: &'a Work) -> Act<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

fn slow() -> (Arc<Notify>, Arc<Notify>, Procedure) {
    let (entered, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let procedure = Procedure::reversible(vec![Box::new(Slow { entered: Arc::clone(&entered), go: Arc::clone(&go) })]);
    (entered, go, procedure)
}

#[tokio::test]
async fn who_was_thought_dead_changes_nothing() {
    let ground = Ground::make().await;
    let claim = ground.enqueue("make").await;
    let id = claim.operation();
    let (entered, go, procedure) = slow();
    let jobs = ground.jobs.clone();
    let sleeper = tokio::spawn(async move { jobs.run(claim, &procedure).await });
    entered.notified().await;
    assert_eq!(ground.jobs.operation(id).await.expect("read").expect("known").progress, Some((1, 2)));
    assert!(ground.jobs.claim(&["make"]).await.expect("asked").is_none(), "it is held");
    ground.pass().await;
    let second = ground.jobs.claim(&["make"]).await.expect("asked").expect("taken over");
    // The first goes on, and the control database does not let it.
    go.notify_one();
    let ended = sleeper.await.expect("ended");
    assert!(matches!(ended, Ended::Lost), "{ended:?}");
    assert_eq!(ground.standing(id).await, ["running", "slow begun 1"]);
    let world = World::default();
    assert!(matches!(ground.jobs.run(second, &reversible(&world, |_| Ok(()))).await, Ended::Succeeded));
    assert_eq!(world.said(), ["-one", "one", "two", "three"], "what may have been begun is undone first");
    ground.close().await;
}

#[tokio::test]
async fn one_that_runs_is_cancelled_and_undone() {
    let ground = Ground::make().await;
    let claim = ground.enqueue("make").await;
    let id = claim.operation();
    let (entered, _go, procedure) = slow();
    let jobs = ground.jobs.clone();
    let running = tokio::spawn(async move { jobs.run(claim, &procedure).await });
    entered.notified().await;
    assert!(ground.jobs.cancel(id, &["make"]).await.expect("asked"));
    let ended = tokio::time::timeout(Duration::from_secs(8), running).await.expect("soon").expect("ended");
    assert!(matches!(ended, Ended::Undone(None)), "{ended:?}");
    assert_eq!(ground.standing(id).await, ["cancelled", "slow undone 1"]);
    assert!(!ground.jobs.cancel(id, &["make"]).await.expect("asked"), "it has ended");

    // And one that nobody has begun with.
    let claim = ground.enqueue("make").await;
    let (id, world) = (claim.operation(), World::default());
    assert!(ground.jobs.cancel(id, &["make"]).await.expect("asked"));
    assert!(matches!(ground.jobs.run(claim, &reversible(&world, |_| Ok(()))).await, Ended::Undone(None)));
    assert_eq!((world.there(), ground.standing(id).await[0].as_str()), (vec![], "cancelled"));
    ground.close().await;
}

/// A last step that makes its effect known and ends the operation in one transaction, and then fails or is slow to say so.
struct Last {
    fails: bool,
}

impl Step for Last {
    fn name(&self) -> &'static str {
        "last"
    }

    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            let mut tx = work.begin().await?;
            work.conclude(&mut tx, None).await?;
            tx.commit().await?;
            if self.fails { Err(passing("the answer is lost")) } else { Ok(Value::Null) }
        })
    }

    fn undo<'a>(&'a self, _: &'a Work) -> Act<'a, ()> {
        Box::pin(async { panic!("what is in use is undone") })
    }
}

#[tokio::test]
async fn what_has_been_made_known_is_never_undone() {
    let ground = Ground::make().await;
    for fails in [false, true] {
        let claim = ground.enqueue("make").await;
        let id = claim.operation();
        let ended = ground.jobs.run(claim, &Procedure::reversible(vec![Box::new(Last { fails })])).await;
        assert!(matches!(ended, Ended::Succeeded), "{ended:?}");
        assert_eq!(ground.standing(id).await, ["succeeded", "last done 1"]);
        assert!(!ground.jobs.cancel(id, &["make"]).await.expect("asked"));
    }
    // Somebody wants it cancelled before that: then it does not come to it.
    let claim = ground.enqueue("make").await;
    let id = claim.operation();
    let procedure = Procedure::reversible(vec![Box::new(Held { jobs: ground.jobs.clone(), id })]);
    let ended = ground.jobs.run(claim, &procedure).await;
    assert!(matches!(ended, Ended::Undone(None)), "{ended:?}");
    assert_eq!(ground.standing(id).await, ["cancelled", "held undone 1"]);
    ground.close().await;
}

/// A last step during which it is cancelled.
struct Held {
    jobs: jobs::Jobs,
    id: Uuid,
}

impl Step for Held {
    fn name(&self) -> &'static str {
        "held"
    }

    fn act<'a>(&'a self, work: &'a Work) -> Act<'a, Value> {
        Box::pin(async move {
            assert!(self.jobs.cancel(self.id, &["make"]).await.expect("asked"));
            let mut tx = work.begin().await?;
            work.conclude(&mut tx, None).await?;
            tx.commit().await?;
            Ok(Value::Null)
        })
    }

    fn undo<'a>(&'a self, _: &'a Work) -> Act<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test]
async fn one_thing_is_changed_by_one_operation_at_a_time() {
    let ground = Ground::make().await;
    let subject = Uuid::now_v7();
    let new = || NewOperation { kind: "make", subject, title: "acme", input: Value::Null, priority: 0 };
    let mut tx = ground.db.begin().await.expect("a transaction");
    let first = ground.jobs.enqueue(&mut tx, new()).await.expect("recorded");
    tx.commit().await.expect("committed");
    let mut tx = ground.db.begin().await.expect("a transaction");
    let second = ground.jobs.enqueue(&mut tx, new()).await;
    assert!(matches!(second, Err(JobsError::UnderWay)), "{second:?}");
    drop(tx);
    let world = World::default();
    assert!(matches!(ground.jobs.run(first, &reversible(&world, |_| Ok(()))).await, Ended::Succeeded));
    let mut tx = ground.db.begin().await.expect("a transaction");
    ground.jobs.enqueue(&mut tx, new()).await.expect("recorded now");
    drop(tx);
    ground.close().await;
}

/// Several processes, of which each dies again and again at any point: what is due is done by one of them at a time, to its end.
#[tokio::test]
async fn whoever_dies_anywhere_somebody_goes_on() {
    let ground = Ground::make().await;
    let points: Vec<String> = ["before", "after", "before undoing", "after undoing"]
        .iter()
        .flat_map(|when| NAMES.map(|name| format!("{when} {name}")))
        .collect();
    for fails in [None, Some("before three"), Some("after three")] {
        for dies in &points {
            let (world, claim) = (World::default(), ground.enqueue("make").await);
            let id = claim.operation();
            let dead = Arc::new(AtomicU32::new(0));
            let fate = {
                let (dies, dead) = (dies.clone(), Arc::clone(&dead));
                move |now: &str| {
                    // A fault that nobody hears of: the run is dropped where it stands.
                    if now == dies && dead.fetch_add(1, Ordering::SeqCst) == 0 {
                        return Err(Fault::Lost);
                    }
                    if Some(now) == fails { Err(lasting("no luck")) } else { Ok(()) }
                }
            };
            let procedure = reversible(&world, fate);
            let mut ended = ground.jobs.run(claim, &procedure).await;
            while matches!(ended, Ended::Lost) {
                ground.pass().await;
                let claim = ground.jobs.claim(&["make"]).await.expect("asked").expect("left by the dead");
                ended = ground.jobs.run(claim, &procedure).await;
            }
            let (state, there) = (ground.standing(id).await[0].clone(), world.there().len());
            let expected = if fails.is_some() { ("failed", 0) } else { ("succeeded", 3) };
            assert_eq!((state.as_str(), there), expected, "dies {dies}, fails {fails:?}: {ended:?}");
        }
    }
    ground.close().await;
}

#[tokio::test]
async fn the_highest_priority_goes_first_and_nobody_shares() {
    let ground = Ground::make().await;
    for priority in [0, 5, 1] {
        let mut tx = ground.db.begin().await.expect("a transaction");
        let title = priority.to_string();
        let new = NewOperation { kind: "make", subject: Uuid::now_v7(), title: &title, input: Value::Null, priority };
        ground.jobs.enqueue(&mut tx, new).await.expect("recorded");
        tx.commit().await.expect("committed");
    }
    ground.pass().await;
    let mut titles = Vec::new();
    while let Some(claim) = ground.jobs.claim(&["make"]).await.expect("asked") {
        titles.push(claim.title.clone());
    }
    assert_eq!(titles, ["5", "1", "0"]);
    ground.pass().await;
    assert!(ground.jobs.claim(&["other"]).await.expect("asked").is_none(), "a kind that this process does not know");
    // Many at once never get the same.
    let mut askers = Vec::new();
    for _ in 0..8 {
        let jobs = ground.jobs.clone();
        askers.push(tokio::spawn(async move { jobs.claim(&["make"]).await.expect("asked").map(|it| it.operation()) }));
    }
    let mut got = Vec::new();
    for asker in askers {
        got.extend(asker.await.expect("answered"));
    }
    got.sort_unstable();
    let count = got.len();
    got.dedup();
    assert_eq!((got.len(), count), (3, 3), "each once");
    run(&ground.db, "DELETE FROM sindico.operations").await;
    ground.close().await;
}
