//! Brings a connection back to what it was after login, and makes sure of it.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;
use wire::backend::TransactionStatus;
use wire::frontend;

use crate::PoolError;
use crate::connection::{Connection, Message, Reader, parameter_status};

/// Most messages that a reset may take: the answer, each setting that it changes back, and notifications that were
/// still waiting.
const MAX_MESSAGES: usize = 1024;

/// Runs `DISCARD ALL`, which ends everything that belongs to a session except the session (PostgreSQL manual, DISCARD), and
/// reads its success back. On any error the connection is of no more use.
pub(crate) async fn reset(connection: &mut Connection, within: Duration) -> Result<(), PoolError> {
    timeout(within, discard_all(connection))
        .await
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

async fn discard_all(connection: &mut Connection) -> Result<(), PoolError> {
    let mut out = BytesMut::new();
    frontend::query(&mut out, "DISCARD ALL");
    connection.stream.write_all(&out).await?;

    let mut reader = Reader::new();
    let mut completed = false;
    for _ in 0..MAX_MESSAGES {
        let Message { tag, body } = reader.next(&mut connection.stream).await?;
        match tag {
            b'C' if !completed && &body[..] == b"DISCARD ALL\0" => completed = true,
            b'S' => connection.reported.extend(parameter_status(&body)),
            b'N' | b'A' => {}
            b'Z' if completed
                && TransactionStatus::parse(&body) == Some(TransactionStatus::Idle)
                && !reader.has_rest() =>
            {
                return Ok(());
            }
            // An error, or the answer to something else: whoever had the connection left more behind than they knew.
            _ => return Err(PoolError::Protocol("it did not confirm DISCARD ALL")),
        }
    }
    Err(PoolError::Protocol("its answer to DISCARD ALL does not come to an end"))
}
