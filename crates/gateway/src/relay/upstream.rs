//! The stage that a client's messages pass on their way to the server.

use std::borrow::Cow;
use std::fmt;
use std::future::pending;
use std::sync::Arc;

use bytes::BytesMut;
use pool::Residue;
use tokio::io::{AsyncRead, AsyncWrite};
use wire::frame::{Beyond, Demand, Direction, HEADER_LEN, Header, Piece};

use super::ledger::Ledger;
use super::pooled::Pooled;
use super::pump::{Pump, Step};
use super::slow::{self, Slow};
use crate::fault::Fault;
use crate::statement::{Clerk, Dialect, LONG, Pending, Room};

/// Bytes of the longest statement that is kept together where nobody else sets a limit.
const LONGEST: usize = 16 << 20;

/// Messages that hold statements, and with pooling those that name them, which they do in their first bytes.
const fn wanted(limit: usize) -> [Demand; 5] {
    [
        Demand { tag: b'Q', limit, beyond: Beyond::Stream },
        Demand { tag: b'P', limit, beyond: Beyond::Stream },
        Demand { tag: b'B', limit: 16 * 1024, beyond: Beyond::StreamAfter(4096) },
        Demand { tag: b'D', limit: 4096, beyond: Beyond::Stream },
        Demand { tag: b'C', limit: 4096, beyond: Beyond::Stream },
    ]
}

/// The same as nearly every session has them, which therefore need none of their own.
const USUAL: &[Demand] = &wanted(LONGEST);

/// Bytes of a message that has not come whole, from which on it is worth a server connection.
const WORTH: usize = 8 * 1024;

/// Bytes that are read ahead of a message that waits.
const ENOUGH: usize = 16 * 1024;

/// Messages of a client that are looked at to tell what its transaction needs.
const LOOKED_AT: usize = 64;

/// What a client wants that has no server connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Nothing,
    Server,
    Leave,
}

/// Client to server.
pub(super) struct Upstream {
    pub(super) pump: Pump,
    left: bool,
    /// The next message waits for answers to those before it.
    held_up: bool,
    clerk: Option<Arc<Clerk>>,
    /// Nothing more is looked at before this has ended.
    wait: Option<Wait>,
    /// A long statement that has been read, and is what goes out.
    read: Option<BytesMut>,
    /// For the long statement that is coming in.
    room: Option<Room>,
    /// For long statements that the server has not taken yet.
    taken: Vec<Room>,
    /// What is left of the current message does not go out: something else has.
    declined: bool,
}

/// What becomes of a piece.
enum Fate {
    Pass,
    /// Something else goes out.
    Replace(BytesMut),
    /// Something else goes out, or nothing, and nothing of what is left of the message either.
    Decline(BytesMut),
    /// What goes out will be known later.
    ReadApart,
}

/// What a long statement waits for.
enum Wait {
    /// Room to come in.
    Room(Pending<Result<Room, Fault>>),
    /// To have been read.
    Reading(Pending<Result<BytesMut, Fault>>),
}

/// What it got.
enum Had {
    Room(Result<Room, Fault>),
    Read(Result<BytesMut, Fault>),
}

impl Upstream {
    pub(super) fn new(pipelined: BytesMut, clerk: Option<Arc<Clerk>>, pooled: bool, watched: bool) -> Self {
        let limit = clerk.as_ref().map(|clerk| clerk.limit()).or(pooled.then_some(LONGEST));
        let pump = Pump::new(Direction::ToServer, demands(limit, pooled, watched), pipelined);
        Self {
            pump,
            left: false,
            held_up: false,
            clerk,
            wait: None,
            read: None,
            room: None,
            taken: Vec::new(),
            declined: false,
        }
    }

    /// Judges what has arrived.
    pub(super) fn inspect(
        &mut self,
        ledger: &mut Ledger,
        dialect: Dialect,
        mut pooled: Option<(&mut Pooled, &mut Residue)>,
        slow: &mut Slow,
    ) -> Result<(), Fault> {
        if let Some(message) = self.read.take() {
            self.pump.put(match &mut pooled {
                Some((pooled, residue)) => see_off(message, pooled, residue),
                None => message,
            });
        }
        self.held_up = false;
        while !self.left && self.wait.is_none() {
            let asked = ledger.is_asked();
            self.held_up = pooled.as_mut().is_some_and(|(pooled, residue)| self.is_held_up(pooled, residue, asked));
            if self.held_up {
                break;
            }
            let Some(piece) = self.pump.peek()? else { break };
            self.taken.extend(self.room.take());
            let (len, ends, begun) = (piece.bytes.len(), piece.ends, piece.begins);
            let (mut fate, mut settled) = (Fate::Pass, false);
            match (piece.begins, &self.clerk) {
                // Ours to act on: the server connection stays.
                (Some(header), _) if header.tag == b'X' => {
                    self.leave();
                    return Ok(());
                }
                (Some(header), _) if header.tag == b'p' => {
                    return Err(unasked_password());
                }
                (Some(header), clerk) => {
                    settled = !ledger.may_be_working();
                    ledger.sent(header.tag);
                    slow.hears(header, piece.body(), clerk.as_deref(), pooled.as_ref().map(|(pooled, _)| &**pooled));
                    if let Some(clerk) = clerk {
                        fate = judge(clerk, header, piece, dialect, settled);
                    }
                }
                (None, _) if self.declined => fate = Fate::Decline(BytesMut::new()),
                (None, _) => {}
            }
            if let Some((pooled, residue)) = &mut pooled {
                fate = trade(fate, begun, piece.body(), pooled, residue);
            }
            match fate {
                Fate::Pass => self.pump.pass(len),
                Fate::Replace(message) => self.pump.replace(len, &message),
                Fate::Decline(message) => {
                    self.declined = !ends;
                    self.pump.replace(len, &message);
                }
                Fate::ReadApart => {
                    let message = self.pump.take(len);
                    let reading = |clerk: &Arc<Clerk>| clerk.answer_apart(message, dialect, settled);
                    self.wait = self.clerk.as_ref().map(reading).map(Wait::Reading);
                }
            }
        }
        if self.wait.is_none()
            && self.room.is_none()
            && let Some(clerk) = &self.clerk
            && let Some(header) = self.pump.awaited().filter(|header| header.body_len > LONG)
        {
            self.pump.pause();
            self.wait = Some(Wait::Room(clerk.room(header.body_len)));
        }
        Ok(())
    }

    /// Moves bytes, or sees through what a long statement waits for. May be abandoned at any time without losing either.
    pub(super) async fn step(
        &mut self,
        source: &mut (impl AsyncRead + Unpin),
        sink: Option<&mut (impl AsyncWrite + Unpin)>,
    ) -> Result<Step, Fault> {
        let Self { pump, wait, room, taken, read, held_up, .. } = self;
        // What has come is not looked at until answers have: a client that takes none could fill the memory meanwhile.
        let source = Some(source).filter(|_| !*held_up || pump.arrived().len() < ENOUGH);
        tokio::select! {
            step = pump.step(source, sink) => {
                // Waiting for more room while keeping what is not needed would have a tenant's sessions wait for each other.
                if !pump.has_passed() && !matches!(wait, Some(Wait::Reading(_))) {
                    taken.clear();
                }
                return Ok(step);
            }
            had = async {
                match wait {
                    Some(Wait::Room(pending)) => Had::Room(pending.await),
                    Some(Wait::Reading(pending)) => Had::Read(pending.await),
                    None => pending().await,
                }
            } => match had {
                Had::Room(had) => {
                    *room = Some(had?);
                    pump.resume();
                }
                Had::Read(message) => *read = Some(message?),
            },
        }
        *wait = None;
        Ok(Step::Moved)
    }

    /// Who reads its statements.
    pub(super) fn clerk(&self) -> Option<&Clerk> {
        self.clerk.as_deref()
    }

    /// The same, for when this is over.
    pub(super) fn into_clerk(self) -> Option<Arc<Clerk>> {
        self.clerk
    }

    /// Has another clerk read what comes next. Only for a session that has no server connection: of such a one, nothing is
    /// being read.
    pub(super) fn read_by(&mut self, clerk: Option<Arc<Clerk>>) {
        self.clerk = clerk;
    }

    /// What a client wants that has no server connection.
    pub(super) fn wish(&self) -> Result<Wish, Fault> {
        let Some((header, here)) = self.pump.upcoming()? else { return Ok(Wish::Nothing) };
        Ok(match header.tag {
            b'X' => Wish::Leave,
            b'p' => return Err(unasked_password()),
            _ if here >= (HEADER_LEN + header.body_len).min(WORTH) => Wish::Server,
            _ => Wish::Nothing,
        })
    }

    /// The messages that have come and are not judged yet, the last one as far as it is here.
    pub(super) fn upcoming(&self) -> impl Iterator<Item = (Header, &[u8])> {
        self.pump.ahead().take(LOOKED_AT)
    }

    /// Whether the next message waits for answers, or for another server connection.
    fn is_held_up(&self, pooled: &mut Pooled, residue: &Residue, asked: bool) -> bool {
        pooled.is_barred()
            || pooled.may_have_to_wait(residue)
                && self
                    .upcoming()
                    .next()
                    .is_some_and(|(header, body)| pooled.has_to_wait(header.tag, body, residue, asked))
    }

    /// The client has said goodbye or is gone. What it sent before still goes out.
    pub(super) fn leave(&mut self) {
        self.left = true;
        self.pump.close();
    }

    /// The server takes nothing more.
    pub(super) fn abandon(&mut self) {
        (self.wait, self.read, self.room) = (None, None, None);
        self.taken.clear();
        self.pump.abandon();
    }

    /// Whether what the server has not been sent can be sent to another: no message is cut in two.
    pub(super) fn may_start_over(&self) -> bool {
        let whole = self.pump.is_between_messages() && !self.declined;
        whole && !self.left && self.wait.is_none() && self.read.is_none() && self.room.is_none()
    }

    /// What was on its way to the server is lost with it.
    pub(super) fn start_over(&mut self) {
        self.taken.clear();
        self.pump.forget_passed();
    }

    pub(super) const fn has_left(&self) -> bool {
        self.left
    }

    /// Whether the server has everything that the client sent, up to the end of a message.
    pub(super) fn is_drained(&self) -> bool {
        self.pump.is_drained()
    }
}

/// What is wanted in one piece where statements of so many bytes are kept together, if any are. Where statements are
/// `watched`, their beginnings are, and what names them.
fn demands(limit: Option<usize>, pooled: bool, watched: bool) -> Cow<'static, [Demand]> {
    match (limit, pooled || watched) {
        (Some(LONGEST), true) => Cow::Borrowed(USUAL),
        (Some(limit), true) => Cow::Owned(wanted(limit).to_vec()),
        (Some(limit), false) => Cow::Owned(wanted(limit).into_iter().take(2).collect()),
        (None, true) => Cow::Owned(slow::DEMANDS.into_iter().chain(wanted(LONGEST).into_iter().skip(2)).collect()),
        (None, false) => Cow::Borrowed(&[]),
    }
}

fn unasked_password() -> Fault {
    Fault::protocol("the client sent a password that nobody asked for")
}

/// What becomes of a message in the eyes of a pooled session, which sees what would go to the server.
fn trade(fate: Fate, begun: Option<Header>, body: &[u8], pooled: &mut Pooled, residue: &mut Residue) -> Fate {
    match fate {
        // Of a text that is not here no other can be made.
        Fate::Pass if begun.is_some_and(|header| header.tag == b'P' && header.body_len > body.len()) => {
            Fate::Decline(pooled.declines(residue))
        }
        Fate::Pass => match begun.and_then(|header| pooled.sends(header, body, residue)) {
            Some(instead) => Fate::Replace(instead),
            None => Fate::Pass,
        },
        Fate::Replace(message) => Fate::Replace(see_off(message, pooled, residue)),
        Fate::Decline(message) if !message.is_empty() => Fate::Decline(see_off(message, pooled, residue)),
        Fate::Decline(_) | Fate::ReadApart => fate,
    }
}

/// The same for a whole message that is about to go out.
fn see_off(message: BytesMut, pooled: &mut Pooled, residue: &mut Residue) -> BytesMut {
    let Some((&tag, body)) = message.split_first().and_then(|(tag, rest)| Some((tag, rest.get(HEADER_LEN - 1..)?)))
    else {
        return message;
    };
    pooled.sends(Header { tag, body_len: body.len() }, body, residue).unwrap_or(message)
}

/// What becomes of a message that begins, in the eyes of a clerk.
fn judge(clerk: &Clerk, header: Header, piece: Piece<'_>, dialect: Dialect, settled: bool) -> Fate {
    if !matches!(header.tag, b'Q' | b'P') {
        return Fate::Pass;
    }
    if header.body_len > clerk.limit() {
        return Fate::Decline(clerk.decline(header.tag, header.body_len));
    }
    if header.body_len > LONG {
        return Fate::ReadApart;
    }
    clerk.answer(header.tag, piece.body(), dialect, settled).map_or(Fate::Pass, Fate::Replace)
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("pump", &self.pump).field("left", &self.left).finish_non_exhaustive()
    }
}
