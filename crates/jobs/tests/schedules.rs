//! Each due time is seen to once: whoever looks, however many look, and whatever the clock does.

#![expect(clippy::expect_used, reason = "a test's helpers fail the test")]

#[path = "support/database.rs"]
mod database;

use std::collections::HashSet;

use jobs::{Due, Jobs, JobsError, NewOperation, NewSchedule, Schedule, ScheduleEdit, ScheduleError, ScheduleRef};
use serde_json::json;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use self::database::{database, run};

/// Two processes' ways to a control database of the test's own.
struct Ground {
    db: PgPool,
    one: Jobs,
    other: Jobs,
    scratch: Option<devdb::Scratch>,
}

impl Ground {
    async fn make() -> Self {
        let tables = [
            include_str!("../../catalog/migrations/0003_operations.sql"),
            include_str!("../../catalog/migrations/0006_schedules.sql"),
        ];
        let (db, options, scratch) = database("schedules", &tables).await;
        let second = PgPoolOptions::new().max_connections(4).connect_with(options).await.expect("connected");
        Self { one: Jobs::new(db.clone()), other: Jobs::new(second), db, scratch }
    }

    async fn hourly(&self, name: &str) -> Schedule {
        self.add(name, "0 * * * *").await.expect("a schedule")
    }

    async fn add(&self, name: &str, cron: &str) -> Result<Schedule, ScheduleError> {
        let (kind, time_zone) = ("tea", "UTC");
        self.one.add_schedule(NewSchedule { name, kind, input: json!({}), cron, time_zone, enabled: true }).await
    }

    async fn read(&self, name: &str) -> Option<Schedule> {
        self.one.schedule(&ScheduleRef::Name(name.to_owned())).await.expect("asked")
    }

    async fn close(self) {
        self.db.close().await;
        if let Some(scratch) = self.scratch {
            scratch.stop().await.expect("stopped");
        }
    }
}

async fn due(jobs: &Jobs, at: OffsetDateTime) -> Option<Due> {
    jobs.due(Some(at)).await.expect("asked")
}

/// Sees to everything that is due, recording an operation for each.
async fn see_to_all(jobs: &Jobs, at: OffsetDateTime) -> Vec<(String, Uuid)> {
    let mut begun = Vec::new();
    while let Some(mut it) = due(jobs, at).await {
        let name = it.schedule.name.clone();
        let (kind, subject, title, input) = ("tea", Uuid::now_v7(), name.as_str(), json!({}));
        let new = NewOperation { kind, subject, title, input, priority: 0 };
        let claim = jobs.enqueue(it.transaction(), new).await.expect("recorded");
        it.begun(claim.operation()).await.expect("committed");
        begun.push((name, claim.operation()));
    }
    begun
}

#[tokio::test]
async fn each_time_is_seen_to_once_by_whoever_looks() {
    let ground = Ground::make().await;
    let mut at = OffsetDateTime::UNIX_EPOCH;
    for nth in 0..30 {
        at = ground.hourly(&format!("tea-{nth}")).await.next_at + Duration::SECOND;
    }
    for round in 1..=3 {
        let (a, b, c, d) = tokio::join!(
            see_to_all(&ground.one, at),
            see_to_all(&ground.other, at),
            see_to_all(&ground.other, at),
            see_to_all(&ground.one, at),
        );
        let all = [a, b, c, d].concat();
        let names: HashSet<&String> = all.iter().map(|(name, _)| name).collect();
        assert_eq!((all.len(), names.len()), (30, 30), "in round {round}");
        let recorded: i64 =
            sqlx::query_scalar("SELECT count(*) FROM sindico.operations").fetch_one(&ground.db).await.expect("counted");
        assert_eq!(recorded, 30 * round, "what was begun was recorded");
        at += Duration::HOUR;
    }
    ground.close().await;
}

#[tokio::test]
async fn whoever_is_at_it_keeps_others_away_and_leaves_it_due_by_dying() {
    let ground = Ground::make().await;
    let at = ground.hourly("tea").await.next_at + Duration::SECOND;
    let held = due(&ground.one, at).await.expect("due");
    assert!(due(&ground.other, at).await.is_none(), "somebody is at it");
    drop(held);
    // Its connection is cleaned before anybody has it again.
    let again = loop {
        if let Some(again) = due(&ground.other, at).await {
            break again;
        }
        tokio::task::yield_now().await;
    };
    again.skipped("no tea").await.expect("committed");
    assert!(due(&ground.one, at).await.is_none());
    let seen = ground.read("tea").await.expect("there");
    assert_eq!((seen.last_error.as_deref(), seen.last_operation), (Some("no tea"), None));
    ground.close().await;
}

#[tokio::test]
async fn an_operation_that_is_not_recorded_leaves_its_time_due() {
    let ground = Ground::make().await;
    let at = ground.hourly("tea").await.next_at + Duration::SECOND;
    let mut it = due(&ground.one, at).await.expect("due");
    let new = NewOperation { kind: "tea", subject: Uuid::now_v7(), title: "tea", input: json!({}), priority: 0 };
    ground.one.enqueue(it.transaction(), new).await.expect("recorded");
    drop(it);
    assert_eq!(see_to_all(&ground.other, at).await.len(), 1);
    let recorded: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sindico.operations").fetch_one(&ground.db).await.expect("counted");
    assert_eq!(recorded, 1, "the first was never committed");
    ground.close().await;
}

#[tokio::test]
async fn what_was_missed_is_made_up_for_once_and_no_clock_brings_it_back() {
    let ground = Ground::make().await;
    let first = ground.hourly("tea").await.next_at;
    assert!(due(&ground.one, first - Duration::SECOND).await.is_none(), "before its time");
    let at = first + Duration::hours(5) + Duration::minutes(10);
    assert_eq!(see_to_all(&ground.one, at).await.len(), 1, "six times have passed");
    let seen = ground.read("tea").await.expect("there");
    assert_eq!((seen.last_at, seen.next_at), (Some(at), first + Duration::hours(6)));
    for earlier in [at, at - Duration::minutes(20), first, first - Duration::days(30)] {
        assert!(due(&ground.one, earlier).await.is_none(), "at {earlier}");
    }
    assert!(due(&ground.one, first + Duration::hours(6)).await.is_some(), "the time itself is due");
    ground.close().await;
}

#[tokio::test]
async fn a_schedule_that_is_deleted_or_paused_while_it_is_due_begins_nothing_more() {
    let ground = Ground::make().await;
    let at = ground.hourly("tea").await.next_at + Duration::SECOND;
    let held = due(&ground.one, at).await.expect("due");
    let which = ScheduleRef::Name("tea".to_owned());
    let (removed, ()) = tokio::join!(ground.other.remove_schedule(&which), async {
        held.skipped("no tea").await.expect("committed");
    });
    assert!(removed.expect("asked") && ground.read("tea").await.is_none());
    assert!(!ground.other.remove_schedule(&which).await.expect("asked"));

    let at = ground.hourly("tea").await.next_at + Duration::SECOND;
    let pause = ScheduleEdit { enabled: Some(false), ..ScheduleEdit::default() };
    ground.other.edit_schedule(&which, pause).await.expect("edited").expect("there");
    assert!(due(&ground.one, at).await.is_none());
    // Whoever goes on does not make up for what has passed.
    run(&ground.db, "UPDATE sindico.schedules SET next_at = clock_timestamp() - interval '3 days'").await;
    let resume = ScheduleEdit { enabled: Some(true), ..ScheduleEdit::default() };
    let resumed = ground.other.edit_schedule(&which, resume).await.expect("edited").expect("there");
    assert!(ground.one.due(None).await.expect("asked").is_none(), "{resumed:?}");
    ground.close().await;
}

#[tokio::test]
async fn an_edit_changes_the_time_only_with_the_cadence() {
    let ground = Ground::make().await;
    let before = ground.hourly("tea").await;
    let which = ScheduleRef::Id(before.id);
    let edit = async |edit: ScheduleEdit| ground.one.edit_schedule(&which, edit).await;
    let input = ScheduleEdit { input: Some(json!({"sugar": 2})), name: Some("chá".to_owned()), ..Default::default() };
    let after = edit(input).await.expect("edited").expect("there");
    assert_eq!((after.name.as_str(), after.next_at, &after.input["sugar"]), ("chá", before.next_at, &json!(2)));
    let cron = ScheduleEdit { cron: Some("0 0 1 1 *".to_owned()), ..Default::default() };
    let after = edit(cron).await.expect("edited").expect("there");
    assert!(after.next_at.ordinal() == 1 && after.next_at > before.next_at, "{after:?}");
    let zone = ScheduleEdit { time_zone: Some("America/Sao_Paulo".to_owned()), ..Default::default() };
    assert_eq!(edit(zone).await.expect("edited").expect("there").next_at - after.next_at, Duration::hours(3));
    for bad in [
        ScheduleEdit { cron: Some("never".to_owned()), ..Default::default() },
        ScheduleEdit { cron: Some("0 0 31 2 *".to_owned()), ..Default::default() },
        ScheduleEdit { time_zone: Some("Mars".to_owned()), ..Default::default() },
    ] {
        assert!(matches!(edit(bad).await, Err(ScheduleError::Cadence(_))));
    }
    ground.hourly("other").await;
    let taken = edit(ScheduleEdit { name: Some("other".to_owned()), ..Default::default() }).await;
    assert!(matches!(taken, Err(ScheduleError::Taken(name)) if name == "other"));
    assert!(matches!(ground.add("other", "0 * * * *").await, Err(ScheduleError::Taken(_))));
    ground.close().await;
}

#[tokio::test]
async fn one_that_cannot_be_read_any_more_is_paused_and_says_why() {
    let ground = Ground::make().await;
    let at = ground.hourly("tea").await.next_at + Duration::SECOND;
    run(&ground.db, "UPDATE sindico.schedules SET time_zone = 'Atlantis'").await;
    due(&ground.one, at).await.expect("due").skipped("no tea").await.expect("committed");
    let seen = ground.read("tea").await.expect("there");
    assert!(!seen.enabled && seen.last_error.as_deref().is_some_and(|why| why.contains("Atlantis")), "{seen:?}");
    assert!(due(&ground.one, at + Duration::days(1)).await.is_none());
    ground.close().await;
}

#[tokio::test]
async fn what_is_still_under_way_does_not_spoil_the_transaction() {
    let ground = Ground::make().await;
    let mut at = ground.hourly("tea").await.next_at + Duration::SECOND;
    let subject = Uuid::now_v7();
    let order = || NewOperation { kind: "tea", subject, title: "tea", input: json!({}), priority: 0 };
    let mut it = due(&ground.one, at).await.expect("due");
    let first = ground.one.enqueue(it.transaction(), order()).await.expect("recorded").operation();
    it.begun(first).await.expect("committed");
    at += Duration::HOUR;
    let mut it = due(&ground.one, at).await.expect("due");
    let refused = ground.one.enqueue(it.transaction(), order()).await;
    assert!(matches!(refused, Err(JobsError::UnderWay)), "{refused:?}");
    it.skipped("still under way").await.expect("committed");
    let seen = ground.read("tea").await.expect("there");
    assert_eq!((seen.last_operation, seen.last_error.as_deref()), (Some(first), Some("still under way")));
    ground.close().await;
}
