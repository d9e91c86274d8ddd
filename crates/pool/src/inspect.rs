//! A look at a login that serves many, before it serves any.

use bytes::BytesMut;
use tokio::io::AsyncWriteExt as _;
use wire::frontend;

use crate::PoolError;
use crate::connection::{Connection, Message, Reader, data_row, parameter_status};

/// Most messages that the answer may take: row description, row, completion, readiness, and settings reported
/// meanwhile.
const MAX_MESSAGES: usize = 64;

/// Whether anybody has stored settings on the login, or made somebody a member of it; whether this connection began with
/// some that have been removed since; and the server's time, which tokens are dated by.
const LOOK: &str = "
    SELECT EXISTS (SELECT FROM pg_catalog.pg_db_role_setting s WHERE s.setrole = r.oid)
        OR EXISTS (SELECT FROM pg_catalog.pg_auth_members m WHERE m.roleid = r.oid)
        OR EXISTS (SELECT FROM pg_catalog.pg_settings WHERE source IN ('user', 'database user')),
        pg_catalog.trunc(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()))::pg_catalog.int8
    FROM pg_catalog.pg_roles r WHERE r.rolname = session_user";

/// Notes the server's time. Fails if the login is no longer as síndico made it: [`PoolError::Spoilt`], also when the
/// server refuses to say, since a stored `statement_timeout` is as good a way to spoil a login as any.
pub(crate) async fn inspect(connection: &mut Connection) -> Result<(), PoolError> {
    let mut out = BytesMut::new();
    frontend::query(&mut out, LOOK);
    connection.stream.write_all(&out).await?;
    let mut reader = Reader::new();
    let mut answer = None;
    for _ in 0..MAX_MESSAGES {
        let Message { tag, body } = reader.next(&mut connection.stream).await?;
        match tag {
            b'S' => connection.reported.extend(parameter_status(&body)),
            b'N' | b'T' | b'C' => {}
            b'D' if answer.is_none() => answer = row(&body),
            b'E' => return Err(PoolError::Spoilt),
            b'Z' => {
                let (spoilt, now) = answer.ok_or(PoolError::Protocol("it does not say what is stored on the login"))?;
                connection.opened_at = now;
                return if spoilt { Err(PoolError::Spoilt) } else { Ok(()) };
            }
            _ => return Err(PoolError::Protocol("it answers a query with something else")),
        }
    }
    Err(PoolError::Protocol("its answer does not come to an end"))
}

/// Both columns of the answer.
fn row(body: &[u8]) -> Option<(bool, u64)> {
    let values = data_row(body)?;
    let [spoilt, now] = values.as_slice() else { return None };
    let spoilt = match spoilt.as_str() {
        "t" => true,
        "f" => false,
        _ => return None,
    };
    Some((spoilt, now.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::row;

    #[test]
    fn a_row_is_exactly_what_was_asked_for() {
        assert_eq!(row(b"\0\x02\0\0\0\x01f\0\0\0\x021\x37"), Some((false, 17)));
        assert_eq!(row(b"\0\x02\0\0\0\x01t\0\0\0\x019"), Some((true, 9)));
        for bad in [
            &b""[..],
            b"\0\x02",
            b"\0\x01\0\0\0\x01f",
            b"\0\x02\0\0\0\x01x\0\0\0\x019",
            b"\0\x02\xff\xff\xff\xff\0\0\0\x019",
            b"\0\x02\0\0\0\x01f\0\0\0\x019 ",
        ] {
            assert_eq!(row(bad), None, "{bad:?}");
        }
    }
}
