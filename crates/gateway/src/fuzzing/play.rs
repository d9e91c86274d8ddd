//! Plays a script.

use std::future::{pending, poll_fn};
use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tenancy::Visit;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::advance;
use tokio_util::sync::CancellationToken;

use super::Outcome;
use super::backend::Backend;
use super::frames::{self, TO_CLIENT, TO_SERVER, put};
use super::lender::{House, Lender, connection, drain};
use super::script::{Act, Aside, Script, Supply};
use super::verdict::{Said, compare, judge};
use crate::dials::{DialSettings, Dials};
use crate::fault::Fault;
use crate::prepared::Library;
use crate::relay::{Conversation, Pooled, SessionLimits, Signals, Watch};
use crate::statement::Clerk;

/// Turns of the event loop without anything having happened, after which nothing will.
const STILL: u32 = 4;

/// Turns after which a session that does not come to rest never will.
const RESTLESS: u32 = 20_000;

/// More than a session whose client is gone may take: what `relay` gives it and what last words get.
const LAST: Duration = Duration::from_secs(3);

struct Play {
    client: Option<UnixStream>,
    /// What the client has to send, and what it has sent.
    queue: Vec<u8>,
    sent: Vec<u8>,
    heard: Vec<u8>,
    heeds: bool,
    house: Arc<Mutex<House>>,
    polls: Arc<AtomicU64>,
    session: JoinHandle<()>,
    shutdown: CancellationToken,
    revoke: Option<oneshot::Sender<()>>,
}

pub(super) async fn play(script: &Script, clerk: Option<Arc<Clerk>>) -> io::Result<Outcome> {
    let house = Arc::new(Mutex::new(House::new()));
    let (client, mut stream) = connection(script.narrow)?;
    let mut lender = Lender::open(Arc::clone(&house), script.pooled, script.narrow, script.others)?;
    let visit = Arc::new(Visit::unlisted("paws".parse().map_err(io::Error::other)?));
    let limit = script.limits.then_some(Duration::from_secs(1));
    let session_limits = SessionLimits { statement: limit, idle_in_transaction: limit, idle: limit };
    let dials = Dials::new(DialSettings { session_limits, ..DialSettings::default() });
    let pooled = script.pooled.then(|| Pooled::new(Library::default(), 1));
    let mut conversation = Conversation::new(b"", clerk, pooled, &visit, dials);
    let (revoke, revoked) = oneshot::channel::<()>();
    let (shutdown, polls) = (CancellationToken::new(), Arc::new(AtomicU64::new(0)));
    let (watched, counted) = (shutdown.clone(), Arc::clone(&polls));
    let session = tokio::spawn(async move {
        let revoked = async {
            if revoked.await.is_err() {
                pending::<()>().await;
            }
            Fault::new("57P01", "closed", "")
        };
        let watch = Watch { revoked: pin!(revoked), lapse: None, shutdown: &watched, grace: Duration::from_secs(1) };
        let left = {
            let mut signals = Signals::new(watch, &visit);
            let mut serving = pin!(conversation.serve(&mut stream, &mut lender, &mut signals));
            poll_fn(|cx| {
                counted.fetch_add(1, Ordering::Relaxed);
                serving.as_mut().poll(cx)
            })
            .await
        };
        drop(stream);
        lender.close(left);
    });
    let mut play = Play {
        client: Some(client),
        queue: Vec::new(),
        sent: Vec::new(),
        heard: Vec::new(),
        heeds: true,
        house,
        polls,
        session,
        shutdown,
        revoke: Some(revoke),
    };
    for act in &script.acts {
        play.act(act).await;
    }
    Ok(play.finish(script).await)
}

impl Play {
    fn house(&self) -> MutexGuard<'_, House> {
        self.house.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn act(&mut self, act: &Act) {
        match act {
            Act::Ask(ask) => return ask.write(&mut self.queue),
            Act::Blurt(bytes) => return self.queue.extend(bytes),
            Act::Send(most) => drop(self.send(usize::from(*most))),
            Act::Work(most) => drop(self.work(usize::from(*most))),
            Act::Answer(most) => drop(self.house().answer(usize::from(*most))),
            Act::Aside(aside) => {
                let (tag, body): (u8, &[u8]) = match aside {
                    Aside::Notice => (b'N', b"SNOTICE\0VNOTICE\0C00000\0Mhm\0\0"),
                    Aside::Notification => (b'A', b"\0\0\0\x07c\0hello\0"),
                    Aside::ParameterStatus => (b'S', b"application_name\0mine\0"),
                };
                self.say(false, |out| put(out, tag, body));
            }
            Act::Rave(tag, body) => self.say(true, |out| put(out, *tag, body)),
            Act::Gibber(bytes) => self.say(true, |out| out.extend(bytes)),
            Act::Heed(heeds) => self.heeds = *heeds,
            Act::Crash(words) => self.crash(*words),
            Act::Leave => self.client = None,
            Act::Wait(milliseconds) => advance(Duration::from_millis(u64::from(*milliseconds))).await,
            Act::Shutdown => self.shutdown.cancel(),
            Act::Revoke => self.revoke = self.revoke.take().and_then(|revoke| revoke.send(()).err().and(None)),
            Act::Supply(supply) => self.house().supply = *supply,
        }
        self.rest().await;
    }

    fn say(&self, raves: bool, write: impl FnOnce(&mut Vec<u8>)) {
        if let Some(hall) = self.house().hall()
            && !hall.backend.gone
        {
            hall.backend.raves |= raves;
            write(&mut hall.backend.out);
        }
    }

    fn crash(&self, words: bool) {
        let mut house = self.house();
        if let Some(hall) = house.hall().filter(|_| words) {
            hall.backend.end("57P01");
        }
        house.answer(if words { usize::MAX } else { 0 });
        if let Some(hall) = house.hall() {
            hall.backend.gone = true;
            hall.close();
        }
    }

    /// Whether any byte got through.
    fn send(&mut self, most: usize) -> bool {
        let Some(client) = &mut self.client else { return false };
        let now = self.queue.get(..most.min(self.queue.len())).unwrap_or_default();
        if now.is_empty() {
            return false;
        }
        let Ok(written) = client.write(now) else { return false };
        self.sent.extend(self.queue.drain(..written));
        written > 0
    }

    /// Whether any message was read.
    fn work(&self, most: usize) -> bool {
        let mut house = self.house();
        let Some(hall) = house.hall() else { return false };
        hall.receive();
        (0..most).take_while(|_| hall.backend.work()).count() > 0
    }

    /// Lets the session do what it can do now.
    async fn rest(&mut self) {
        let (mut still, mut turns) = (0, 0);
        while still < STILL {
            let (polls, heard) = (self.polls.load(Ordering::Relaxed), self.heard.len());
            yield_now().await;
            if let Some(client) = self.client.as_mut().filter(|_| self.heeds) {
                drain(client, &mut self.heard);
            }
            let moved = polls != self.polls.load(Ordering::Relaxed) || heard != self.heard.len();
            still = if moved { 0 } else { still + 1 };
            turns += 1;
            if turns > RESTLESS {
                self.house().broken.push("the session does not come to rest".to_owned());
                return;
            }
        }
    }

    /// Has everything get through that still can.
    async fn flow(&mut self) {
        let mut idle = 0;
        while idle < 2 {
            let mut moved = self.send(usize::MAX);
            self.rest().await;
            moved |= self.work(usize::MAX);
            moved |= self.house().answer(usize::MAX);
            let before = self.heard.len();
            self.rest().await;
            moved |= before != self.heard.len();
            if moved {
                idle = 0;
            } else {
                // Whoever waits for a server connection may get it yet.
                advance(Duration::from_millis(150)).await;
                self.rest().await;
                idle += 1;
            }
        }
    }

    async fn finish(mut self, script: &Script) -> Outcome {
        self.heeds = true;
        self.house().supply = Supply::Ready;
        self.rest().await;
        self.flow().await;
        let (compared, mut broken) = self.look(script);
        // Whoever does not take the end of a message for too long does not get it.
        let cut = script.acts.iter().any(|act| matches!(act, Act::Leave | Act::Heed(false)));
        // The client leaves, then the servers.
        self.client = None;
        self.flow().await;
        advance(LAST).await;
        self.rest().await;
        if !self.session.is_finished() {
            broken.push("the session goes on without its client".to_owned());
            self.house().halls.iter_mut().for_each(super::lender::Hall::close);
            self.rest().await;
            advance(LAST).await;
            self.rest().await;
        }
        if !self.session.is_finished() {
            broken.push("the session goes on without anybody".to_owned());
            self.session.abort();
        } else if let Err(error) = (&mut self.session).await {
            broken.push(error.to_string());
        }
        let mut house = self.house();
        let said: Vec<_> = house.said.drain(..).collect();
        let begun: Vec<_> = house.halls.iter().map(|hall| hall.begun.clone()).collect();
        broken.append(&mut house.broken);
        broken.extend(house.halls.iter().filter_map(|hall| {
            let what = hall.backend.broken.as_ref()?;
            Some(format!("a server was sent {what}"))
        }));
        let released = house.released;
        drop(house);
        let questions = questions(&self.sent).0;
        let heard = judge(&self.heard, cut, &Said { messages: &said, begun: &begun, questions }, &mut broken);
        Outcome { broken, released, compared, heard }
    }

    /// Compares what the client was told so far with what a server would have told it, where that has to be the same.
    fn look(&self, script: &Script) -> (bool, Vec<String>) {
        let mut broken = Vec::new();
        let mut direct = Backend::new(0);
        direct.hear(&self.sent);
        while direct.work() {}
        let sound = direct.broken.is_none() && !direct.gone && direct.pending() == 0;
        let undisturbed = |act: &Act| {
            matches!(act, Act::Ask(_) | Act::Blurt(_) | Act::Send(_) | Act::Work(_) | Act::Answer(_))
                || matches!(act, Act::Aside(_) | Act::Heed(_) | Act::Supply(Supply::Ready | Supply::Slow))
                || matches!(act, Act::Wait(_) if !script.limits)
        };
        let same = sound && !direct.peculiar && script.acts.iter().all(undisturbed);
        if same {
            compare(&self.heard, &direct.out, &mut broken);
        }
        // Whatever happens to its servers, a session that goes on answers each question.
        let (questions, plain) = questions(&self.sent);
        let sensible = !script.acts.iter().any(|act| matches!(act, Act::Rave(..) | Act::Gibber(_) | Act::Leave));
        if sound && plain && sensible && !self.session.is_finished() {
            let told = frames::all(self.heard.clone(), TO_CLIENT).map(|(messages, _)| messages).unwrap_or_default();
            let ready = told.iter().filter(|(tag, _)| *tag == b'Z').count();
            if ready != questions {
                broken.push(format!(
                    "{questions} questions were answered by {ready} ReadyForQuery, and the session goes on"
                ));
            }
        }
        (same, broken)
    }
}

/// How many questions stand in what a client has sent, and whether each of them is answered whatever becomes of the others.
fn questions(sent: &[u8]) -> (usize, bool) {
    let (mut count, mut plain, mut unsynced, mut stream) = (0, true, false, sent.to_vec());
    while let Ok(Some((tag, body))) = frames::take(&mut stream, TO_SERVER) {
        match tag {
            b'S' => unsynced = false,
            // Behind an error that no Sync has followed it is not.
            b'Q' | b'F' => plain &= !unsynced,
            b'd' | b'c' | b'f' | b'X' | b'p' => plain = false,
            _ => unsynced = true,
        }
        plain &= !body.windows(4).any(|word| word == b"COPY");
        count += usize::from(b"QSF".contains(&tag));
    }
    (count, plain && stream.is_empty())
}
