//! Statements that a clerk reads on their way.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use domain::Isolation;
use tenancy::ClientRules;
use tenantize::client::Rules;
use tenantize::{Sources, SqlFile};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::timeout;
use wire::frame::HEADER_LEN;

use super::super::ledger::Ledger;
use super::super::slow::Slow;
use super::super::upstream::Upstream;
use super::{Left, Stage, hear, say, stage_for};
use crate::dials::Dials;
use crate::statement::{Clerk, Clerks, Dialect};

const SCHEMA: &str = "CREATE TABLE pets (id int PRIMARY KEY, tag text UNIQUE)";
const PREFIX: &str = "n_0123456789abcdef01234_";
const LIMIT: usize = 64 * 1024;
const SHARE: usize = 96 * 1024;

const READY: &[u8] = b"Z\0\0\0\x05I";
const UPSERT: &str = "INSERT INTO pets VALUES (1, 'rex') ON CONFLICT (tag) DO NOTHING";
const UPSERT_HERE: &str = "INSERT INTO pets VALUES (1, 'rex') ON CONFLICT (tenant_id, tag) DO NOTHING";

fn clerk() -> Arc<Clerk> {
    let file = SqlFile { name: "migrations/1.sql".to_owned(), text: SCHEMA.to_owned() };
    let plan = tenantize::plan(&Sources { migrations: vec![file], seed: vec![] }).expect("a plan");
    let client = ClientRules {
        tenant: "0192f0c1-2345-7abc-8def-0123456789ab".parse().expect("an id"),
        app: "petshop".parse().expect("a name"),
        isolation: Isolation::Shared,
        version: 1,
        rules: Arc::new(Rules::new(&plan, Isolation::Shared).expect("rules")),
        schema: "public".to_owned(),
        sequences: "s_0192f0c123457abc8def0123456789ab".to_owned(),
        channel_prefix: PREFIX.to_owned(),
    };
    Clerks::new(1 << 20, LIMIT, SHARE).serve(client, [("standard_conforming_strings", "on")])
}

async fn stage() -> Stage {
    stage_for(b"", Some(clerk())).await
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("a short message");
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

fn query(sql: &str) -> Vec<u8> {
    message(b'Q', format!("{sql}\0").as_bytes())
}

/// With a name and the type of one parameter.
fn parse(sql: &str) -> Vec<u8> {
    message(b'P', format!("s1\0{sql}\0\0\x01\0\0\0\x17").as_bytes())
}

/// Sends in two parts, the second of which comes later.
async fn say_cut(to: &mut TcpStream, words: &[u8], cut: usize) {
    say(to, &words[..cut]).await;
    for _ in 0..20 {
        yield_now().await;
    }
    say(to, &words[cut..]).await;
}

/// The message that the server hears next.
async fn next(stage: &mut Stage) -> (u8, Vec<u8>) {
    let mut header = [0; HEADER_LEN];
    stage.server.read_exact(&mut header).await.expect("a message");
    let [tag, a, b, c, d] = header;
    let mut body = vec![0; u32::from_be_bytes([a, b, c, d]) as usize - 4];
    stage.server.read_exact(&mut body).await.expect("the rest of it");
    (tag, body)
}

/// The text of the query that the server hears next.
async fn text(stage: &mut Stage) -> String {
    let (tag, body) = next(stage).await;
    assert_eq!(tag, b'Q');
    String::from_utf8(body).expect("text").trim_end_matches('\0').to_owned()
}

async fn answered(stage: &mut Stage, count: usize) {
    for _ in 0..count {
        say(&mut stage.server, READY).await;
        hear(&mut stage.client, READY).await;
    }
}

#[tokio::test]
async fn a_statement_is_replaced_wherever_it_is_cut() {
    let around = [message(b'B', b"\0s1\0\0\0\0\0\0\0"), message(b'E', b"\0\0\0\0\0"), message(b'S', b"")].concat();
    let copy_data = message(b'd', b"Q\0\0\0\x10LOCK pets\0");
    let said = [&parse(UPSERT)[..], &around, &query("SELECT 1"), &query(UPSERT), &copy_data].concat();
    let heard = [&parse(UPSERT_HERE)[..], &around, &query("SELECT 1"), &query(UPSERT_HERE), &copy_data].concat();
    for cut in 0..said.len() {
        let mut stage = stage().await;
        say_cut(&mut stage.client, &said, cut).await;
        hear(&mut stage.server, &heard).await;
        answered(&mut stage, 3).await;
        say(&mut stage.client, b"X\0\0\0\x04").await;
        assert_eq!(stage.left.await.expect("no panic"), Left::Clean, "the ledger counts what was replaced");
    }
    // What has come before the session began.
    let early: &'static [u8] = said.leak();
    let mut stage = stage_for(early, Some(clerk())).await;
    hear(&mut stage.server, &heard).await;
}

#[tokio::test]
async fn refusals_are_the_servers_to_say() {
    let mut stage = stage().await;
    say(&mut stage.client, &[query("LOCK pets"), query("SELECT 1")].concat()).await;
    let refusal = text(&mut stage).await;
    assert!(refusal.starts_with("SELECT $refusal${\"0A000\nLOCK is not available"), "{refusal}");
    assert!(refusal.ends_with("\"}$refusal$::sindico.refusal[]"), "{refusal}");
    assert_eq!(text(&mut stage).await, "SELECT 1");
    say(&mut stage.client, &parse("EXPLAIN SELECT * FROM pets WHERE id = $1")).await;
    let (tag, body) = next(&mut stage).await;
    assert!(tag == b'P' && body.starts_with(b"s1\0SELECT $refusal$") && body.ends_with(b"\0\0\x01\0\0\0\x17"));
}

#[tokio::test]
async fn statements_that_are_too_long_are_declined_and_their_rest_is_dropped() {
    for (tag, name) in [(b'Q', ""), (b'P', "\0")] {
        let mut stage = stage().await;
        let long = message(tag, &vec![b'x'; LIMIT + 100_000]);
        say(&mut stage.client, &long[..LIMIT / 2]).await;
        // Before the rest has been sent.
        let (heard, body) = next(&mut stage).await;
        let body = String::from_utf8(body).expect("text");
        let expected = format!("{name}SELECT $refusal${{\"54000\na statement of {} bytes", LIMIT + 100_000);
        assert!(heard == tag && body.starts_with(&expected), "{body}");
        say(&mut stage.client, &[&long[LIMIT / 2..], &query("SELECT 2")].concat()).await;
        assert_eq!(text(&mut stage).await, "SELECT 2");
        answered(&mut stage, 1).await;
        say(&mut stage.client, b"X\0\0\0\x04").await;
        let clean = if tag == b'Q' { Left::Working } else { Left::Clean };
        assert_eq!(stage.left.await.expect("no panic"), clean, "one answer for each Query, none for a Parse");
    }
}

#[tokio::test]
async fn a_long_statement_keeps_its_place() {
    let mut stage = stage().await;
    let values = "(1, 'rex'), ".repeat(2_000);
    let long = |target: &str| format!("INSERT INTO pets VALUES {values}(2, 'max') ON CONFLICT ({target}) DO NOTHING");
    let said = [query("SELECT 1"), query(&long("tag")), query("SELECT 2"), query(UPSERT)].concat();
    say(&mut stage.client, &said).await;
    let heard = [query("SELECT 1"), query(&long("tenant_id, tag")), query("SELECT 2"), query(UPSERT_HERE)].concat();
    hear(&mut stage.server, &heard).await;
    answered(&mut stage, 4).await;
    // Long, and no business of the clerk's.
    let plain = query(&format!("SELECT '{values}'").replace("'rex'", "rex"));
    say(&mut stage.client, &plain).await;
    hear(&mut stage.server, &plain).await;
}

#[tokio::test]
async fn long_statements_of_a_tenant_wait_for_each_other() {
    let clerk = clerk();
    let mut slow = stage_for(b"", Some(Arc::clone(&clerk))).await;
    let mut other = stage_for(b"", Some(clerk)).await;
    let long = query(&"x".repeat(60_000));
    let (begin, end) = long.split_at(30_000);
    say(&mut slow.client, begin).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    say(&mut other.client, &long).await;
    let heard = timeout(Duration::from_millis(50), next(&mut other)).await;
    assert!(heard.is_err(), "both together are more than the tenant's share");
    say(&mut slow.client, end).await;
    hear(&mut slow.server, &long).await;
    hear(&mut other.server, &long).await;
}

/// Whether a stage comes to the end of what it can do, its far end being as it is.
async fn goes_on(
    stage: &mut Upstream,
    source: &mut DuplexStream,
    sink: &mut DuplexStream,
    until: impl Fn(&Upstream) -> bool,
) {
    let mut ledger = Ledger::new();
    let all = async {
        while !until(stage) {
            stage
                .inspect(&mut ledger, Dialect::of([]), None, &mut Slow::new(Dials::default()))
                .expect("sound messages");
            stage.step(source, Some(sink)).await.expect("no fault");
        }
    };
    let _in_the_middle = timeout(Duration::from_millis(100), all).await;
}

#[tokio::test]
async fn long_statements_that_the_server_does_not_take_keep_their_room() {
    let clerk = clerk();
    let long = query(&"x".repeat(60_000));
    let mut stages = Vec::new();
    for _ in 0..2 {
        let ((mut client, source), (sink, server)) = (duplex(1 << 20), duplex(1024));
        client.write_all(&long).await.expect("sent");
        stages.push((
            Upstream::new(BytesMut::new(), Some(Arc::clone(&clerk)), false, false),
            client,
            source,
            sink,
            server,
        ));
    }
    let (first, second) = stages.split_at_mut(1);
    let (stalled, _, source, sink, server) = &mut first[0];
    goes_on(stalled, source, sink, |_| false).await;
    let (other, _, others_source, others_sink, others_server) = &mut second[0];
    goes_on(other, others_source, others_sink, |_| false).await;
    let mut byte = [0];
    let heard = timeout(Duration::from_millis(20), others_server.read(&mut byte)).await;
    assert!(heard.is_err(), "the first is in memory as it was, and both are more than the tenant's share");

    let mut all = vec![0; long.len()];
    let ((), taken) = tokio::join!(goes_on(stalled, source, sink, Upstream::is_drained), server.read_exact(&mut all));
    taken.expect("everything");
    goes_on(other, others_source, others_sink, |_| false).await;
    assert_eq!(others_server.read(&mut byte).await.expect("the second's turn"), 1);
}

#[tokio::test]
async fn a_session_does_not_wait_for_its_own_statements() {
    let ((mut client, mut source), (mut sink, mut server)) = (duplex(1 << 20), duplex(1 << 20));
    // Together they are more than the tenant's share.
    let long = query(&"x".repeat(60_000));
    client.write_all(&[&long[..], &long, &long].concat()).await.expect("sent");
    let mut stage = Upstream::new(BytesMut::new(), Some(clerk()), false, false);
    let mut all = vec![0; 3 * long.len()];
    let (heard, ()) = tokio::join!(
        timeout(Duration::from_secs(5), server.read_exact(&mut all)),
        goes_on(&mut stage, &mut source, &mut sink, |_| false)
    );
    heard.expect("in time").expect("everything");
}

#[tokio::test]
async fn what_is_no_statement_passes_for_the_server_to_judge() {
    let mut stage = stage().await;
    let odd = [message(b'Q', b"LOCK pets"), message(b'Q', b"LOCK\0pets\0"), message(b'P', b"s1\0LOCK pets")].concat();
    say(&mut stage.client, &odd).await;
    hear(&mut stage.server, &odd).await;
}

#[tokio::test]
async fn half_a_statement_never_reaches_the_server() {
    let mut stage = stage().await;
    say(&mut stage.client, &query(UPSERT)[..20]).await;
    drop(stage.client);
    assert_eq!(stage.left.await.expect("no panic"), Left::Clean);
}

#[tokio::test]
async fn settings_that_change_how_statements_are_read_are_followed() {
    // With standard strings, the backslash is a string and LISTEN a statement; without, all of it is one string.
    let tricky = r"SELECT '\'; LISTEN barks; --'";
    let mut stage = stage().await;
    say(&mut stage.client, &query(tricky)).await;
    assert_eq!(text(&mut stage).await, tricky.replace("barks", &format!("\"{PREFIX}barks\"")));
    answered(&mut stage, 1).await;

    say(&mut stage.client, &[query("SELECT 1"), query(tricky)].concat()).await;
    assert_eq!(text(&mut stage).await, "SELECT 1");
    let refusal = text(&mut stage).await;
    assert!(refusal.contains("standard_conforming_strings"), "SELECT 1 might have been a SET: {refusal}");
    let off = message(b'S', b"standard_conforming_strings\0off\0");
    say(&mut stage.server, &off).await;
    hear(&mut stage.client, &off).await;
    answered(&mut stage, 2).await;

    say(&mut stage.client, &query(tricky)).await;
    let refusal = text(&mut stage).await;
    assert!(refusal.contains("standard_conforming_strings"), "{refusal}");
}

#[tokio::test]
async fn answers_are_taken_back_wherever_they_are_cut() {
    let info = message(b'N', b"SINFO\0VINFO\0CSN001\0Mthe rows of this tenant were deleted\0\0");
    let notice = message(b'N', b"SNOTICE\0VNOTICE\0C00000\0MSN001\0\0");
    let (call, truncate) = (message(b'C', b"CALL\0"), message(b'C', b"TRUNCATE TABLE\0"));
    let heard_by = |prefix: &str| message(b'A', format!("\0\0\0\x07{prefix}barks\0loud\0").as_bytes());
    let row = message(b'D', b"\0\x01\0\0\0\x05SN001");
    let said =
        [&notice[..], &info, &notice, &call, &call, &heard_by(PREFIX), &heard_by(""), &row, &info, READY].concat();
    let heard = [&notice[..], &notice, &truncate, &call, &heard_by(""), &heard_by(""), &row, READY].concat();
    for cut in 0..said.len() {
        let mut stage = stage_for(super::QUERY, Some(clerk())).await;
        hear(&mut stage.server, super::QUERY).await;
        say_cut(&mut stage.server, &said, cut).await;
        hear(&mut stage.client, &heard).await;
        // What SN001 announced does not outlive the answer.
        say(&mut stage.client, super::QUERY).await;
        hear(&mut stage.server, super::QUERY).await;
        say(&mut stage.server, &call).await;
        hear(&mut stage.client, &call).await;
    }
}

#[tokio::test]
async fn answers_of_any_length_pass() {
    let mut stage = stage().await;
    for tag in *b"NACS" {
        let huge = message(tag, &vec![b'C'; 300_000]);
        let (server, client) = (&mut stage.server, &mut stage.client);
        tokio::join!(say(server, &huge), hear(client, &huge));
    }
}

#[tokio::test]
async fn without_a_clerk_nothing_is_read() {
    let mut stage = stage_for(b"", None).await;
    let said = [query("LOCK pets"), query("LISTEN barks"), parse("EXPLAIN SELECT 1")].concat();
    say(&mut stage.client, &said).await;
    hear(&mut stage.server, &said).await;
    // Half a statement goes on as it comes.
    say(&mut stage.client, &query(UPSERT)[..20]).await;
    hear(&mut stage.server, &query(UPSERT)[..20]).await;
    let answer = [message(b'N', b"SINFO\0CSN001\0\0"), message(b'C', b"CALL\0")].concat();
    say(&mut stage.server, &answer).await;
    hear(&mut stage.client, &answer).await;
}
