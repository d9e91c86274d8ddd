//! Brings a connection back to what it was after login, and makes sure of it.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use aws_lc_rs::rand;
use bytes::BytesMut;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;
use wire::frontend;

use crate::PoolError;
use crate::connection::{Connection, Message, Reader, parameter_status};
use crate::residue::Residue;

/// Most messages that a reset may take: the answer, each setting that it changes back, and notifications that were
/// still waiting.
const MAX_MESSAGES: usize = 1024;

/// Runs `DISCARD ALL`, which ends everything that belongs to a session except the session (PostgreSQL manual,
/// DISCARD), and reads its success back. On any error the connection is of no more use.
///
/// That answer could be to a `DISCARD ALL` that the last client left behind on purpose, with a statement of its own
/// choice to follow. So a random value is asked for as well: whatever comes before it has been answered once it is
/// read back. It is a second Query because `DISCARD ALL` refuses to run together with other statements. It also tells
/// whether the login of many still serves somebody (lifecycle's `enter.sql` says where that is kept), and sows the
/// random numbers anew, which `DISCARD ALL` leaves to whoever knows how they were sown.
pub(crate) async fn reset(connection: &mut Connection, within: Duration) -> Result<(), PoolError> {
    let (nonce, seed) = (nonce()?, seed()?);
    // The name is for whoever finds it in pg_stat_activity.
    let look = format!(
        "SELECT pg_catalog.concat('{nonce}', \
         pg_catalog.substring(pg_catalog.current_setting('backtrace_functions'), '^t_'), \
         pg_catalog.setseed({seed})) AS discarded"
    );
    let answers = [&["DISCARD ALL"][..], &[]];
    renewed(connection, &["DISCARD ALL", &look], &answers, &row(&[&nonce]), within).await
}

/// Does what `DISCARD ALL` does, apart from throwing plans away, and sets whom a connection of a login that serves many
/// serves from here on, in place of whom it served. Success is read back as in [`reset`].
///
/// The plans are those of `sindico.enter` and of the app's functions, which hold nothing of a tenant's and are made for the
/// login and not for whom it serves: made again for each tenant, they took most of the time. Of temporary tables the login
/// has none. RESET ALL runs first and by itself, so that the rest meets no setting of the last client's, and nobody is
/// served if the rest fails.
pub(crate) async fn hand_over(connection: &mut Connection, token: &str, within: Duration) -> Result<(), PoolError> {
    let (nonce, seed) = (nonce()?, seed()?);
    // Tokens are digits, letters and dots.
    let rest = format!(
        "RESET SESSION AUTHORIZATION; CLOSE ALL; DEALLOCATE ALL; UNLISTEN *; DISCARD SEQUENCES; \
         SELECT pg_catalog.concat('{nonce}', pg_catalog.setseed({seed})) AS discarded, sindico.enter('{token}', false)"
    );
    let answers = [&["RESET"][..], &["RESET", "CLOSE CURSOR ALL", "DEALLOCATE ALL", "UNLISTEN", "DISCARD SEQUENCES"]];
    renewed(connection, &["RESET ALL", &rest], &answers, &row(&[&nonce, "t"]), within).await
}

/// Sends two Queries at once, which have to be answered with these command tags, the second one behind them with one row,
/// and with nothing else.
async fn renewed(
    connection: &mut Connection,
    queries: &[&str; 2],
    answers: &[&[&str]; 2],
    row: &[u8],
    within: Duration,
) -> Result<(), PoolError> {
    connection.residue = Residue::default();
    connection.overheard.clear();
    let mut out = BytesMut::new();
    for query in queries {
        frontend::query(&mut out, query);
    }
    let completed = |tag: &&str| (b'C', Some([tag.as_bytes(), b"\0"].concat()));
    let ready = || (b'Z', Some(b"I".to_vec()));
    let [first, second] = answers.map(|tags| tags.iter().map(completed));
    let last = [(b'T', None), (b'D', Some(row.to_vec())), completed(&"SELECT 1"), ready()];
    let awaited = first.chain([ready()]).chain(second).chain(last).collect();
    timeout(within, confirm(connection, &out, awaited))
        .await
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

/// Sends messages and reads exactly these answers.
async fn confirm(
    connection: &mut Connection,
    out: &[u8],
    mut awaited: VecDeque<(u8, Option<Vec<u8>>)>,
) -> Result<(), PoolError> {
    connection.stream.write_all(out).await?;
    let mut reader = Reader::new();
    for _ in 0..MAX_MESSAGES {
        let Message { tag, body } = reader.next(&mut connection.stream).await?;
        match tag {
            b'S' => connection.reported.extend(parameter_status(&body)),
            b'N' | b'A' => {}
            // An error, or the answer to something else: whoever had the connection left more behind than they knew.
            _ if awaited.pop_front().is_none_or(|(expected, exactly)| {
                tag != expected || exactly.is_some_and(|exactly| exactly != body)
            }) =>
            {
                return Err(PoolError::Protocol("it did not confirm that its session is as after login"));
            }
            _ if !awaited.is_empty() => {}
            _ if reader.has_rest() => return Err(PoolError::Protocol("it says more than it was asked for")),
            _ => return Ok(()),
        }
    }
    Err(PoolError::Protocol("its answer does not come to an end"))
}

/// A `DataRow` in text format: the number of columns, then each one's length and bytes.
fn row(values: &[&str]) -> Vec<u8> {
    let number = |len: usize| u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
    let mut row = number(values.len())[2..].to_vec();
    for value in values {
        row.extend(number(value.len()));
        row.extend(value.as_bytes());
    }
    row
}

/// A number between -1 and 1, as `setseed` takes it.
fn seed() -> Result<f64, PoolError> {
    let mut bytes = [0; 4];
    rand::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(f64::from(i32::from_ne_bytes(bytes)) / 2_147_483_648.0)
}

/// What nobody can guess, in letters and digits.
pub(crate) fn nonce() -> Result<String, PoolError> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}
