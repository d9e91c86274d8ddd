//! What happens in a session, in order.

use arbitrary::{Arbitrary, Result, Unstructured};

use super::frames::put;

/// Acts of one script, at most.
const MOST: usize = 200;

/// Texts that clients send; [`super::backend`] knows what becomes of each.
pub(super) const TEXTS: [&str; 32] = [
    "SELECT 1",
    "SELECT 2",
    "SELECT 3 AS three",
    "",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "FAIL",
    "SYNTAX",
    "SELECT many",
    "SELECT wide",
    "SHOW TimeZone",
    "SET TimeZone = 'UTC'",
    "SET TimeZone = 'Asia/Tokyo'",
    "SET LOCAL TimeZone = 'America/Bahia'",
    "RESET ALL",
    "COPY wild FROM STDIN",
    "COPY wild FROM STDIN -- bad",
    "COPY wild TO STDOUT",
    "DEALLOCATE a",
    "DEALLOCATE ALL",
    "DISCARD ALL",
    "LISTEN c",
    "UNLISTEN *",
    "SELECT pg_advisory_lock(1)",
    "SELECT currval('s')",
    "STALE",
    "INSERT INTO pets VALUES (1, 'rex') ON CONFLICT (tag) DO NOTHING",
    "TRUNCATE pets",
    "SELECT 1; SELECT 2",
    "BEGIN",
    "DIE",
];

/// Names of statements and portals.
const NAMES: [&str; 4] = ["", "a", "b", "long enough to be no name that anybody else would think of"];

/// A session.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and together they are no state")]
pub struct Script {
    /// By transaction, and not by session.
    pub pooled: bool,
    /// A clerk reads statements.
    pub clerk: bool,
    /// Sockets hold next to nothing.
    pub narrow: bool,
    /// Between two transactions of the client's others use the connection.
    pub others: bool,
    /// The session has limits of a second.
    pub limits: bool,
    /// What happens.
    pub acts: Vec<Act>,
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// The client has a message to send.
    Ask(Ask),
    /// The client has bytes to send.
    Blurt(Vec<u8>),
    /// So many of its bytes get through.
    Send(u16),
    /// The server takes so many messages.
    Work(u8),
    /// So many bytes of its answers get through.
    Answer(u16),
    /// The server says something unasked, as it may.
    Aside(Aside),
    /// The server says something unasked, as it may not: a message.
    Rave(u8, Vec<u8>),
    /// The same with bytes that are no message.
    Gibber(Vec<u8>),
    /// Whether the client takes what it is told.
    Heed(bool),
    /// The server is gone, with or without a word.
    Crash(bool),
    /// The client is gone.
    Leave,
    /// So many milliseconds pass.
    Wait(u16),
    /// The gateway is to end.
    Shutdown,
    /// The tenant may not be served any more.
    Revoke,
    /// How server connections are to be had.
    Supply(Supply),
}

/// A client's message. Numbers choose among a few texts and names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are named as in the protocol")]
pub enum Ask {
    Query(u8),
    Parse(u8, u8),
    Bind(u8, u8),
    DescribeStatement(u8),
    DescribePortal(u8),
    Execute(u8, u8),
    CloseStatement(u8),
    ClosePortal(u8),
    Sync,
    Flush,
    FunctionCall,
    CopyData(u8),
    CopyDone,
    CopyFail,
    Terminate,
    Password,
}

/// What a server may say at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are named as in the protocol")]
pub enum Aside {
    Notice,
    Notification,
    ParameterStatus,
}

/// How server connections are to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supply {
    /// At once.
    Ready,
    /// After a while.
    Slow,
    /// Not at all.
    Refused,
}

fn pick<'t>(among: &[&'t str], number: u8) -> &'t [u8] {
    among.get(usize::from(number) % among.len()).copied().unwrap_or_default().as_bytes()
}

impl Ask {
    /// Appends the message.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let name = |number| pick(&NAMES, number);
        match self {
            Self::Query(text) => put(out, b'Q', &[pick(&TEXTS, text), b"\0"].concat()),
            Self::Parse(statement, text) => {
                put(out, b'P', &[name(statement), b"\0", pick(&TEXTS, text), b"\0\0\0"].concat());
            }
            Self::Bind(portal, statement) => {
                put(out, b'B', &[name(portal), b"\0", name(statement), b"\0\0\0\0\0\0\0"].concat());
            }
            Self::DescribeStatement(statement) => put(out, b'D', &[b"S", name(statement), b"\0"].concat()),
            Self::DescribePortal(portal) => put(out, b'D', &[b"P", name(portal), b"\0"].concat()),
            Self::Execute(portal, rows) => put(out, b'E', &[name(portal), b"\0\0\0\0", &[rows % 4]].concat()),
            Self::CloseStatement(statement) => put(out, b'C', &[b"S", name(statement), b"\0"].concat()),
            Self::ClosePortal(portal) => put(out, b'C', &[b"P", name(portal), b"\0"].concat()),
            Self::Sync => put(out, b'S', b""),
            Self::Flush => put(out, b'H', b""),
            Self::FunctionCall => put(out, b'F', b"\0\0\0\x01\0\0\0\0\0\0"),
            Self::CopyData(len) => put(out, b'd', &vec![b'x'; usize::from(len) * 20]),
            Self::CopyDone => put(out, b'c', b""),
            Self::CopyFail => put(out, b'f', b"no more\0"),
            Self::Terminate => put(out, b'X', b""),
            Self::Password => put(out, b'p', b"secret\0"),
        }
    }
}

impl<'a> Arbitrary<'a> for Ask {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let (kind, a, b) = <(u8, u8, u8)>::arbitrary(u)?;
        Ok(match kind % 16 {
            0 => Self::Query(a),
            1 => Self::Parse(a, b),
            2 => Self::Bind(a, b),
            3 => Self::DescribeStatement(a),
            4 => Self::DescribePortal(a),
            5 => Self::Execute(a, b),
            6 => Self::CloseStatement(a),
            7 => Self::ClosePortal(a),
            8 => Self::Sync,
            9 => Self::Flush,
            10 => Self::FunctionCall,
            11 => Self::CopyData(a),
            12 => Self::CopyDone,
            13 => Self::CopyFail,
            14 => Self::Terminate,
            _ => Self::Password,
        })
    }
}

impl<'a> Arbitrary<'a> for Script {
    /// Mostly conversations that make sense: bytes alone would hardly ever get as far as an answer.
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let (way, more) = (u8::arbitrary(u)?, u8::arbitrary(u)?);
        let mut acts = Vec::new();
        // Every other script keeps to what has to come out as it would without a gateway.
        let last = if more & 1 == 0 { 23 } else { 35 };
        while !u.is_empty() && acts.len() < MOST {
            phrase(u, last, &mut acts)?;
        }
        Ok(Self {
            pooled: way & 3 != 0,
            clerk: way & 0b1100 == 0b1100,
            narrow: way & 16 != 0,
            others: way & 32 != 0,
            limits: way >> 6 == 3 && last > 23,
            acts,
        })
    }
}

/// Something that belongs together, and how it gets there.
fn phrase(u: &mut Unstructured<'_>, last: u8, acts: &mut Vec<Act>) -> Result<()> {
    let kind = u.int_in_range(0..=last)?;
    let (a, b) = (u8::arbitrary(u)?, u8::arbitrary(u)?);
    // A text, but none that ends its server where scripts are tame.
    let text = |number: u8| number % if last > 23 { 32 } else { 31 };
    let mut asks: Vec<Ask> = Vec::new();
    match kind {
        0 | 1 => asks.push(Ask::Query(text(a))),
        2 => asks.extend([Ask::Query(text(a)), Ask::Query(text(b))]),
        3 => asks.extend([
            Ask::Parse(0, text(a)),
            Ask::Bind(0, 0),
            Ask::DescribePortal(0),
            Ask::Execute(0, b),
            Ask::Sync,
        ]),
        4 => asks.extend([Ask::Parse(b, text(a)), Ask::DescribeStatement(b), Ask::Sync]),
        5 => asks.extend([Ask::Bind(0, b), Ask::Execute(0, 0), Ask::Sync]),
        6 => asks.extend([Ask::Parse(b, text(a)), Ask::Bind(0, b), Ask::Execute(0, 0)]),
        7 => asks.extend([Ask::CloseStatement(b), Ask::Parse(b, text(a)), Ask::Sync]),
        8 => asks.extend([Ask::Query(16 + a % 2), Ask::CopyData(b), Ask::CopyDone]),
        9 => asks.extend([Ask::Parse(0, 16 + a % 2), Ask::Bind(0, 0), Ask::Execute(0, 0), Ask::Sync, Ask::CopyData(b)]),
        10 => asks.extend([Ask::CopyDone, Ask::Sync]),
        11 => asks.extend([Ask::Query(4), Ask::Query(text(a))]),
        12 => asks.push(Ask::Sync),
        13 => asks.push(Ask::Query(5 + a % 2)),
        14 | 15 => match Ask::arbitrary(u)? {
            Ask::Query(number) => asks.push(Ask::Query(text(number))),
            Ask::Parse(name, number) => asks.push(Ask::Parse(name, text(number))),
            Ask::Terminate | Ask::Password if last == 23 => {}
            ask => asks.push(ask),
        },
        16 => acts.push(Act::Send(u16::from(a))),
        17 => acts.push(Act::Work(a % 8)),
        18 | 19 => acts.extend([Act::Send(u16::MAX), Act::Work(u8::MAX), Act::Answer(u16::MAX)]),
        20 => acts.push(Act::Answer(u16::from(a) * (1 + u16::from(b) % 32))),
        21 => acts.push(Act::Aside(*u.choose(&[Aside::Notice, Aside::Notification, Aside::ParameterStatus])?)),
        22 => acts.push(Act::Heed(a & 1 == 0)),
        23 => acts.push(Act::Wait(u16::from(a) * 4)),
        24 => acts.push(Act::Rave(a, Vec::arbitrary(u)?)),
        25 => acts.push(Act::Rave(b'Z', vec![*b"ITE".get(usize::from(a) % 3).unwrap_or(&b'I')])),
        26 => acts.push(Act::Gibber(Vec::arbitrary(u)?)),
        27 => acts.push(Act::Blurt(Vec::arbitrary(u)?)),
        28 => {
            let body: Vec<u8> = Vec::arbitrary(u)?;
            let mut message = Vec::new();
            put(&mut message, *b"QPBDECFSHdcf".get(usize::from(a) % 12).unwrap_or(&b'Q'), &body);
            acts.push(Act::Blurt(message));
        }
        29 | 30 => acts.push(Act::Crash(a & 1 == 0)),
        31 if a < 32 => acts.push(Act::Leave),
        32 if a < 32 => acts.push(Act::Shutdown),
        33 if a < 32 => acts.push(Act::Revoke),
        34 | 35 => acts.push(Act::Supply(*u.choose(&[Supply::Ready, Supply::Slow, Supply::Refused])?)),
        _ => {}
    }
    acts.extend(asks.into_iter().map(Act::Ask));
    // Most of it gets where it goes at once.
    if b & 64 != 0 {
        acts.push(Act::Send(u16::MAX));
        if b & 128 != 0 {
            acts.extend([Act::Work(u8::MAX), Act::Answer(u16::MAX)]);
        }
    }
    Ok(())
}
