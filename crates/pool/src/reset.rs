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
/// With a token, the next tenant's identity is set right behind, in the same flush, and its success read back as well.
///
/// That answer could be to a `DISCARD ALL` that the last client left behind on purpose, with a statement of its own
/// choice to follow. So a random value is asked for as well: whatever comes before it has been answered once it is
/// read back. It is a second Query because `DISCARD ALL` refuses to run together with other statements. It also tells
/// whether the login of many still serves somebody (lifecycle's `enter.sql` says where that is kept), and sows the
/// random numbers anew, which `DISCARD ALL` leaves to whoever knows how they were sown.
pub(crate) async fn reset(connection: &mut Connection, token: Option<&str>, within: Duration) -> Result<(), PoolError> {
    connection.residue = Residue::default();
    timeout(within, discard_all(connection, token))
        .await
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

async fn discard_all(connection: &mut Connection, token: Option<&str>) -> Result<(), PoolError> {
    let nonce = nonce()?;
    let mut out = BytesMut::new();
    frontend::query(&mut out, "DISCARD ALL");
    // The name is for whoever finds it in pg_stat_activity.
    frontend::query(
        &mut out,
        &format!(
            "SELECT pg_catalog.concat('{nonce}', \
             pg_catalog.substring(pg_catalog.current_setting('backtrace_functions'), '^t_'), \
             pg_catalog.setseed({})) AS discarded",
            seed()?
        ),
    );
    let row = one_value(&nonce);
    let mut awaited = VecDeque::from([
        (b'C', Some(&b"DISCARD ALL\0"[..])),
        (b'Z', Some(b"I")),
        (b'T', None),
        (b'D', Some(&row)),
        (b'C', Some(b"SELECT 1\0")),
        (b'Z', Some(b"I")),
    ]);
    let accepted = one_value("t");
    if let Some(token) = token {
        // Tokens are digits, letters and dots.
        frontend::query(&mut out, &format!("SELECT sindico.enter('{token}', false)"));
        awaited.extend([(b'T', None), (b'D', Some(&accepted[..])), (b'C', Some(b"SELECT 1\0")), (b'Z', Some(b"I"))]);
    }
    connection.stream.write_all(&out).await?;

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
                return Err(PoolError::Protocol("it did not confirm DISCARD ALL"));
            }
            _ if !awaited.is_empty() => {}
            _ if reader.has_rest() => return Err(PoolError::Protocol("it says more than DISCARD ALL asks for")),
            _ => return Ok(()),
        }
    }
    Err(PoolError::Protocol("its answer to DISCARD ALL does not come to an end"))
}

/// A `DataRow` of one value in text format: the number of columns, then each one's length and bytes.
fn one_value(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    [&1_u16.to_be_bytes()[..], &length.to_be_bytes(), text.as_bytes()].concat()
}

/// A number between -1 and 1, as `setseed` takes it.
fn seed() -> Result<f64, PoolError> {
    let mut bytes = [0; 4];
    rand::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(f64::from(i32::from_ne_bytes(bytes)) / 2_147_483_648.0)
}

fn nonce() -> Result<String, PoolError> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}
