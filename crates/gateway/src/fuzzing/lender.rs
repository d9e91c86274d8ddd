//! Where a script's server connections come from, and what has to be true of one that is given back.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pool::{Residue, Settings};
use socket2::SockRef;
use tls::Stream;
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::backend::{Backend, UNASKED};
use super::frames::{Message, TO_CLIENT, take};
use super::script::Supply;
use crate::fault::Fault;
use crate::prepared;
use crate::relay::{Left, Moved, Need, Question, Servers, Settled};

/// All servers, and what they have said.
#[derive(Debug)]
pub(super) struct House {
    pub(super) halls: Vec<Hall>,
    /// The one that the client has.
    pub(super) lent: Option<usize>,
    pub(super) supply: Supply,
    /// Clients that have had one.
    turn: u32,
    pub(super) said: Vec<Message>,
    pub(super) released: u32,
    pub(super) broken: Vec<String>,
}

/// The far end of a connection.
#[derive(Debug)]
pub(super) struct Hall {
    pub(super) backend: Backend,
    /// `None` once it is closed.
    link: Option<UnixStream>,
    /// What has got through of a message that has not got through whole.
    pub(super) begun: Vec<u8>,
    ready: u32,
    last_ready: Vec<u8>,
    copied: bool,
}

/// Two ends of a connection that needs no network: the script's, and what the gateway takes for a socket like any other.
pub(super) fn connection(narrow: bool) -> io::Result<(UnixStream, Stream)> {
    let (far, near) = UnixStream::pair()?;
    far.set_nonblocking(true)?;
    near.set_nonblocking(true)?;
    if narrow {
        // As little as the kernel allows.
        SockRef::from(&near).set_send_buffer_size(1)?;
    }
    Ok((far, Stream::Plain(TcpStream::from_std(OwnedFd::from(near).into())?)))
}

/// Reads what is there. `false` at the end.
pub(super) fn drain(from: &mut UnixStream, into: &mut Vec<u8>) -> bool {
    let mut room = [0; 16 * 1024];
    loop {
        match from.read(&mut room) {
            Ok(0) => return false,
            Ok(read) => into.extend(room.get(..read).unwrap_or_default()),
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}

impl Hall {
    /// Takes in what the gateway has sent.
    pub(super) fn receive(&mut self) {
        let mut heard = Vec::new();
        if let Some(link) = &mut self.link
            && !drain(link, &mut heard)
        {
            self.link = None;
        }
        self.backend.hear(&heard);
    }

    /// Has so many bytes get through, and says what that completes.
    fn answer(&mut self, most: usize) -> Vec<Message> {
        let Some(link) = &mut self.link else { return Vec::new() };
        let now = self.backend.out.get(..most.min(self.backend.out.len())).unwrap_or_default();
        let written = if now.is_empty() { 0 } else { link.write(now).unwrap_or(0) };
        self.begun.extend(self.backend.out.drain(..written));
        if self.backend.gone && self.backend.out.is_empty() {
            self.link = None;
        }
        let mut whole = Vec::new();
        // Nothing is made of what follows a message that is none.
        while let Ok(Some((tag, body))) = take(&mut self.begun, TO_CLIENT) {
            self.copied |= tag == b'G';
            if tag == b'Z' {
                self.ready += 1;
                self.last_ready.clone_from(&body);
            }
            whole.push((tag, body));
        }
        whole
    }

    pub(super) fn close(&mut self) {
        self.link = None;
    }
}

impl House {
    pub(super) fn new() -> Self {
        Self {
            halls: Vec::new(),
            lent: None,
            supply: Supply::Ready,
            turn: 0,
            said: Vec::new(),
            released: 0,
            broken: Vec::new(),
        }
    }

    /// The far end that the client's server connection has, or had last.
    pub(super) fn hall(&mut self) -> Option<&mut Hall> {
        match self.lent {
            Some(number) => self.halls.get_mut(number),
            None => self.halls.last_mut(),
        }
    }

    /// Has so many bytes of the server's answers get through. `false` if there was none.
    pub(super) fn answer(&mut self, most: usize) -> bool {
        let Some(hall) = self.hall() else { return false };
        let before = hall.backend.out.len();
        let whole = hall.answer(most);
        let moved = hall.backend.out.len() < before;
        self.said.extend(whole);
        moved
    }
}

/// One connection, from the gateway's side.
struct Lease {
    stream: Stream,
    residue: Residue,
    number: usize,
}

/// Lends connections to the session.
pub(super) struct Lender {
    house: Arc<Mutex<House>>,
    pooled: bool,
    narrow: bool,
    others: bool,
    lease: Option<Lease>,
    resting: Vec<Lease>,
}

fn lock(house: &Mutex<House>) -> MutexGuard<'_, House> {
    house.lock().unwrap_or_else(PoisonError::into_inner)
}

fn owned(settings: &Settings) -> BTreeMap<String, String> {
    settings.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

impl Lender {
    /// With a connection that the client has.
    pub(super) fn open(house: Arc<Mutex<House>>, pooled: bool, narrow: bool, others: bool) -> io::Result<Self> {
        let mut lender = Self { house, pooled, narrow, others, lease: None, resting: Vec::new() };
        let lease = lender.build()?;
        lender.lend(lease);
        Ok(lender)
    }

    fn build(&self) -> io::Result<Lease> {
        let (far, stream) = connection(self.narrow)?;
        let mut house = lock(&self.house);
        house.halls.push(Hall {
            backend: Backend::new(0),
            link: Some(far),
            begun: Vec::new(),
            ready: 0,
            last_ready: b"I".to_vec(),
            copied: false,
        });
        Ok(Lease { stream, residue: Residue::default(), number: house.halls.len() - 1 })
    }

    fn lend(&mut self, lease: Lease) {
        let mut house = lock(&self.house);
        house.turn += 1;
        house.lent = Some(lease.number);
        let turn = house.turn;
        if let Some(hall) = house.halls.get_mut(lease.number) {
            hall.backend.turn = turn;
        }
        drop(house);
        self.lease = Some(lease);
    }

    fn give_up(&mut self) -> Option<Lease> {
        lock(&self.house).lent = None;
        self.lease.take()
    }

    /// What has to be true between two transactions.
    fn inspect(&self, when: &str) {
        let Some(lease) = &self.lease else { return };
        let mut house = lock(&self.house);
        let House { halls, broken, .. } = &mut *house;
        let Some(hall) = halls.get_mut(lease.number) else { return };
        hall.receive();
        if hall.link.is_none() || hall.backend.gone {
            // Whoever gets it next finds that out.
            return;
        }
        // What it has not read yet asks for nothing.
        while hall.backend.work() {}
        let Hall { backend, begun, ready, last_ready, copied, .. } = hall;
        let mut note = |what: String| broken.push(format!("{when}, {what}"));
        if backend.pending() > 0 {
            note(format!("the server has {} bytes of a message", backend.pending()));
        }
        if backend.raves {
            let questions = backend.questions;
            if *ready > questions || !*copied && *ready < questions || last_ready != b"I" {
                note(format!("{questions} questions had {ready} answers, the last {}", last_ready.escape_ascii()));
            }
            return;
        }
        if !backend.is_idle() || !backend.says_nothing_but_asides(begun) {
            note(format!("the server is not idle: {backend:?}"));
        }
        let missing = lease.residue.prepared.numbers().find(|n| !backend.has_statement(prepared::name(*n).as_bytes()));
        if let Some(missing) = missing {
            note(format!("statement {missing} is not prepared"));
        }
        if lease.residue.unnamed.is_some() && !backend.has_statement(b"") {
            note("there is no unnamed statement".to_owned());
        }
    }

    /// What the gateway has not read has to be what servers say unasked.
    fn read_rest(&self, lease: &Lease, when: &str) {
        let Stream::Plain(socket) = &lease.stream else { return };
        let (mut rest, mut house) = ([0; 1], lock(&self.house));
        let raves = house.halls.get(lease.number).is_none_or(|hall| hall.backend.raves || hall.backend.gone);
        if let Ok(1) = (&*SockRef::from(socket)).read(&mut rest)
            && !raves
            && !UNASKED.contains(&rest[0])
        {
            house.broken.push(format!("{when}, an answer was not read: {}", rest.escape_ascii()));
        }
    }

    /// Takes back what the session had at its end.
    pub(super) fn close(mut self, left: Left) {
        if left == Left::Clean {
            self.inspect("when the client left a connection that was clean");
        }
        let Some(lease) = self.give_up() else { return };
        if left == Left::Clean {
            self.read_rest(&lease, "when the client left a connection that was clean");
        }
    }
}

impl Servers for Lender {
    fn stream(&mut self) -> Option<&mut Stream> {
        self.lease.as_mut().map(|lease| &mut lease.stream)
    }

    fn residue(&mut self) -> Option<&mut Residue> {
        self.lease.as_mut().filter(|_| self.pooled).map(|lease| &mut lease.residue)
    }

    fn attach_now(&mut self, need: &Need) -> bool {
        let fit = {
            let house = lock(&self.house);
            let wanted = owned(&need.settings);
            let fits =
                |lease: &Lease| house.halls.get(lease.number).is_some_and(|hall| hall.backend.settings == wanted);
            self.resting.iter().rposition(fits).filter(|_| house.supply == Supply::Ready)
        };
        let Some(lease) = fit.map(|at| self.resting.remove(at)).filter(|lease| lease.stream.is_quiet()) else {
            return false;
        };
        self.lend(lease);
        true
    }

    async fn attach(&mut self, need: &Need) -> Result<(), Fault> {
        let supply = lock(&self.house).supply;
        match supply {
            Supply::Ready => yield_now().await,
            Supply::Slow => sleep(Duration::from_millis(100)).await,
            Supply::Refused => return Err(Fault::new("53300", "there is none", "")),
        }
        let mut lease = loop {
            match self.resting.pop() {
                Some(lease) if lease.stream.is_quiet() => break lease,
                Some(_) => {}
                None => break self.build().map_err(|error| Fault::new("58000", error.to_string(), ""))?,
            }
        };
        // Settings are made by queries, which end the unnamed statement.
        lease.residue.unnamed = None;
        if let Some(hall) = lock(&self.house).halls.get_mut(lease.number) {
            hall.backend.forget(b"");
            hall.backend.settings = owned(&need.settings);
        }
        self.lend(lease);
        Ok(())
    }

    async fn move_home(&mut self, _need: &Need, _beginning: &str) -> Result<(), Fault> {
        Err(Fault::server_lost())
    }

    fn moved(&mut self) -> Option<Moved> {
        None
    }

    async fn settle(&mut self, question: Question<'_>) -> Result<Settled, Fault> {
        yield_now().await;
        self.inspect("when the server was to be asked");
        let Some(lease) = &mut self.lease else { return Err(Fault::server_lost()) };
        let mut house = lock(&self.house);
        let hall =
            house.halls.get_mut(lease.number).filter(|hall| hall.link.is_some()).ok_or_else(Fault::server_lost)?;
        if question.forget {
            for number in lease.residue.prepared.numbers() {
                hall.backend.forget(prepared::name(number).as_bytes());
            }
            lease.residue.prepared.clear();
        }
        if !question.ask {
            return Ok(Settled::default());
        }
        hall.backend.forget(b"");
        lease.residue.unnamed = None;
        let settings = hall.backend.settings.clone().into_iter().collect();
        Ok(Settled { found: Some((settings, hall.backend.keeps)), ..Settled::default() })
    }

    fn interrupt(&mut self) {}

    async fn lose(&mut self) {
        self.give_up();
    }

    async fn release(&mut self, client: u64) {
        self.inspect("when a connection was given back");
        let Some(mut lease) = self.give_up() else { return };
        lease.residue.used_by(client);
        let mut house = lock(&self.house);
        house.released += 1;
        let hall = house.halls.get_mut(lease.number).filter(|hall| hall.link.is_some() && !hall.backend.raves);
        let usable = lease.stream.is_quiet();
        if let (true, Some(hall)) = (usable, hall) {
            if self.others {
                hall.backend.prepare_for_others();
                lease.residue.unnamed = Some(u64::MAX - 1);
                lease.residue.used_by(client + 1);
            }
            drop(house);
            self.resting.push(lease);
            return;
        }
        drop(house);
        if !usable {
            self.read_rest(&lease, "when a connection was given back");
        }
    }
}
