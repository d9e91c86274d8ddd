//! The stage that a server's messages pass on their way to the client.

use std::sync::Arc;

use bytes::BytesMut;
use domain::Slug;
use pool::Residue;
use tenancy::Visit;
use wire::backend::{self, Notification, TransactionStatus};
use wire::frame::{Beyond, Demand, Direction, Header};
use wire::report;

use super::ledger::Ledger;
use super::pooled::Pooled;
use super::pump::Pump;
use crate::fault::Fault;
use crate::statement::{Clerk, Dialect};

/// Messages whose content matters here.
const DEMANDS: &[Demand] = &[
    Demand { tag: b'Z', limit: 1, beyond: Beyond::Refuse },
    Demand { tag: b'E', limit: 2048, beyond: Beyond::Stream },
];

/// Those whose content matters where clients' statements are rewritten or their server connections change. A longer one of any of them is not one that is
/// looked for: a notification has at most 8,000 bytes besides a name, and the others are our own or short by nature.
const DEMANDS_OF_READERS: &[Demand] = &[
    Demand { tag: b'Z', limit: 1, beyond: Beyond::Refuse },
    Demand { tag: b'A', limit: 8192, beyond: Beyond::Stream },
    Demand { tag: b'C', limit: 64, beyond: Beyond::Stream },
    Demand { tag: b'N', limit: 2048, beyond: Beyond::Stream },
    Demand { tag: b'S', limit: 256, beyond: Beyond::Stream },
    Demand { tag: b'E', limit: 2048, beyond: Beyond::Stream },
];

/// With which `sindico.truncate` says that it was called for a `TRUNCATE` of the client's.
const TRUNCATED: &[u8] = b"SN001";

/// Server to client.
#[derive(Debug)]
pub(super) struct Downstream {
    pub(super) pump: Pump,
    last_tag: u8,
    clerk: Option<Arc<Clerk>>,
    /// Where errors are noted.
    visit: Arc<Visit>,
    /// The next `CALL` to complete was a `TRUNCATE`.
    truncated: bool,
    /// The error with which the server has ended a session that may outlive it. The client does not have it.
    goodbye: Option<BytesMut>,
}

/// What becomes of a message.
enum Fate {
    Pass,
    Replace(BytesMut),
    OutOfPlace,
}

impl Downstream {
    pub(super) fn new(clerk: Option<Arc<Clerk>>, pooled: bool, visit: Arc<Visit>) -> Self {
        let demands = if clerk.is_some() || pooled { DEMANDS_OF_READERS } else { DEMANDS };
        Self {
            pump: Pump::new(Direction::ToClient, demands, BytesMut::new()),
            last_tag: b'Z',
            clerk,
            visit,
            truncated: false,
            goodbye: None,
        }
    }

    /// Judges what has arrived, and notes in `dialect` what the server reports of the session.
    pub(super) fn inspect(
        &mut self,
        ledger: &mut Ledger,
        dialect: &mut Dialect,
        mut pooled: Option<(&mut Pooled, &mut Residue)>,
    ) -> Result<(), Fault> {
        loop {
            // Never in the middle of another message.
            if self.pump.is_between_messages()
                && let Some(made) = pooled.as_mut().and_then(|(pooled, _)| pooled.says())
            {
                self.pump.replace(0, &made);
            }
            let Self { pump, last_tag, clerk, visit, truncated, goodbye } = self;
            let piece = match pump.peek() {
                Ok(Some(piece)) => piece,
                Ok(None) => return Ok(()),
                Err(error) => {
                    let (tenant, session, statement) = under_way(visit);
                    tracing::warn!(%tenant, session, statement, %error, "a server broke the protocol");
                    return Err(Fault::server_astray());
                }
            };
            let len = piece.bytes.len();
            let mut fate = Fate::Pass;
            if let Some(header) = piece.begins {
                fate = account(header, piece.body(), ledger);
                *last_tag = header.tag;
                if header.tag == b'E' {
                    let sqlstate = report::sqlstate(piece.body());
                    visit.failed(sqlstate);
                    let sqlstate = sqlstate.and_then(|code| std::str::from_utf8(code).ok());
                    let (tenant, session, statement) = under_way(visit);
                    tracing::debug!(%tenant, session, statement, sqlstate, "a statement failed");
                }
                if let (Fate::Pass, Some(clerk), true) = (&fate, clerk, piece.ends) {
                    fate = translate(header.tag, piece.body(), clerk, truncated, dialect);
                }
                if pooled.is_some() && header.tag == b'E' && piece.ends && report::ends_session(piece.body()) {
                    *goodbye = Some(BytesMut::from(piece.bytes));
                    pump.replace(len, &[]);
                    continue;
                }
                // After the translation of a message that the client does not get.
                if let Some((pooled, residue)) = &mut pooled
                    && !pooled.hears(header.tag, piece.body(), residue)
                {
                    fate = Fate::Replace(BytesMut::new());
                }
            }
            match fate {
                Fate::Pass => pump.pass(len),
                Fate::Replace(message) => pump.replace(len, &message),
                Fate::OutOfPlace => {
                    // The client is told why its session ends, and does not get the rest of this first.
                    pump.refuse();
                    let (tenant, session, statement) = under_way(visit);
                    let tag = char::from(*last_tag);
                    tracing::warn!(%tenant, session, statement, %tag, "a server sent a message out of place");
                    return Err(Fault::server_astray());
                }
            }
        }
    }

    /// Has answers read as another clerk has changed the questions.
    pub(super) fn read_by(&mut self, clerk: Option<Arc<Clerk>>) {
        self.clerk = clerk;
    }

    /// Whether the server's last message was an error, so that the client knows why the server is gone.
    pub(super) fn has_said_goodbye(&self) -> bool {
        self.last_tag == b'E' && self.pump.is_drained()
    }

    /// What the server has said at the end, if the client does not have it.
    pub(super) fn take_goodbye(&mut self) -> Option<BytesMut> {
        self.goodbye.take()
    }

    /// Whether what the client has got does not end in the middle of a message.
    pub(super) fn may_start_over(&self) -> bool {
        self.pump.is_between_messages()
    }

    /// Goes on with what another source says, after `answers`.
    pub(super) fn start_over(&mut self, answers: &[u8]) {
        self.pump.forget_arrived();
        self.pump.replace(0, answers);
        (self.last_tag, self.truncated, self.goodbye) = (b'Z', false, None);
    }

    /// Whether everything that the server sent has been judged, up to the end of a message, even if the client does not have
    /// all of it yet.
    pub(super) fn is_judged(&self) -> bool {
        self.pump.is_judged()
    }

    /// Whether the client has everything that the server sent, up to the end of a message.
    pub(super) fn is_drained(&self) -> bool {
        self.pump.is_drained()
    }
}

/// Whose statement is being answered, in the log's words.
fn under_way(visit: &Visit) -> (&Slug, u64, u64) {
    (visit.slug(), visit.number(), visit.statements() + 1)
}

/// Notes a message in the ledger.
fn account(header: Header, body: &[u8], ledger: &mut Ledger) -> Fate {
    let sound = match header.tag {
        b'Z' => TransactionStatus::parse(body).is_some_and(|status| ledger.ready(status)),
        // Of a login, which is over: a server that starts another may be after the client's password.
        b'R' | b'K' | b'v' => false,
        tag => {
            ledger.received(tag);
            true
        }
    };
    if sound { Fate::Pass } else { Fate::OutOfPlace }
}

/// Takes back in a whole message what the clerk has changed in the statement that it answers.
fn translate(tag: u8, body: &[u8], clerk: &Clerk, truncated: &mut bool, dialect: &mut Dialect) -> Fate {
    let mut out = BytesMut::new();
    match tag {
        b'N' if report::sqlstate(body) == Some(TRUNCATED) => {
            *truncated = true;
            return Fate::Replace(out);
        }
        b'C' => {
            if !std::mem::take(truncated) || body != b"CALL\0" {
                return Fate::Pass;
            }
            backend::command_complete(&mut out, "TRUNCATE TABLE");
        }
        b'A' => {
            let Some(notification) = Notification::parse(body) else { return Fate::Pass };
            let Some(channel) = notification.channel.strip_prefix(clerk.channel_prefix()) else { return Fate::Pass };
            notification.write_with(&mut out, channel);
        }
        b'S' => {
            if let Some((name, value)) = backend::parse_parameter_status(body) {
                dialect.note(name, value);
            }
            return Fate::Pass;
        }
        b'Z' => {
            *truncated = false;
            return Fate::Pass;
        }
        _ => return Fate::Pass,
    }
    Fate::Replace(out)
}
