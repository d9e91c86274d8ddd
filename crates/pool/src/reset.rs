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

/// Most messages that a reset may take: the answer, each setting that it changes back, and notifications that were
/// still waiting.
const MAX_MESSAGES: usize = 1024;

/// Hexadecimal digits of a nonce.
const NONCE_LEN: u32 = 32;

/// Runs `DISCARD ALL`, which ends everything that belongs to a session except the session (PostgreSQL manual, DISCARD), and
/// reads its success back. On any error the connection is of no more use.
///
/// That answer could be to a `DISCARD ALL` that the last client left behind on purpose, with a statement of its own choice
/// to follow. So a random value is asked for as well: whatever comes before it has been answered once it is read back. It
/// is a second Query because `DISCARD ALL` refuses to run together with other statements.
pub(crate) async fn reset(connection: &mut Connection, within: Duration) -> Result<(), PoolError> {
    timeout(within, discard_all(connection))
        .await
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

async fn discard_all(connection: &mut Connection) -> Result<(), PoolError> {
    let nonce = nonce()?;
    let mut out = BytesMut::new();
    frontend::query(&mut out, "DISCARD ALL");
    // The name is for whoever finds it in pg_stat_activity.
    frontend::query(&mut out, &format!("SELECT '{nonce}' AS discarded"));
    connection.stream.write_all(&out).await?;

    // A DataRow is the number of its columns, then each one's length and bytes.
    let row = [&1_u16.to_be_bytes()[..], &NONCE_LEN.to_be_bytes(), nonce.as_bytes()].concat();
    let mut awaited = VecDeque::from([
        (b'C', Some(&b"DISCARD ALL\0"[..])),
        (b'Z', Some(b"I")),
        (b'T', None),
        (b'D', Some(&row)),
        (b'C', Some(b"SELECT 1\0")),
        (b'Z', Some(b"I")),
    ]);
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

fn nonce() -> Result<String, PoolError> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}
