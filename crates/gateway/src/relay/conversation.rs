//! A session between its statements: thousands of them rest, and what they need only while they work is not kept.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use bytes::BytesMut;
use tenancy::Visit;
use tls::Stream;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::time::{Instant, sleep_until};

use super::limits::idle_for_too_long;
use super::pump::FIRST;
use super::signals::{Signals, Word};
use super::{End, Left, Pooled, Relay, Servers};
use crate::dials::Dials;
use crate::fault::Fault;
use crate::statement::{Clerk, Dialect};

/// What is left of a session while it rests.
#[derive(Debug)]
pub(crate) struct Conversation {
    /// What the client has sent that nobody has looked at.
    pub(super) arrived: BytesMut,
    /// Who reads its statements, if anybody has to.
    pub(super) clerk: Option<Arc<Clerk>>,
    /// How the server reads them.
    pub(super) dialect: Dialect,
    /// `None` for one that has the same server connection from beginning to end.
    pub(super) pooled: Option<Box<Pooled>>,
    /// Where the session's work is noted, and an operator's wishes come from.
    pub(super) visit: Arc<Visit>,
    /// How long it may take.
    pub(super) dials: Dials,
}

impl Conversation {
    /// `pipelined` is what the client has sent already.
    pub(crate) fn new(
        pipelined: &[u8],
        clerk: Option<Arc<Clerk>>,
        pooled: Option<Pooled>,
        visit: &Arc<Visit>,
        dials: Dials,
    ) -> Self {
        let dialect = clerk.as_ref().map_or_else(|| Dialect::of([]), |clerk| clerk.dialect());
        let (arrived, pooled) = (BytesMut::from(pipelined), pooled.map(Box::new));
        Self { arrived, clerk, dialect, pooled, visit: Arc::clone(visit), dials }
    }

    /// Relays until the session ends, and tells the client why unless it was the client that ended it. Says in what state
    /// it left the server connection that it had at the end, if any.
    ///
    /// What only a session that works needs is kept apart, and its arguments are references, since those that rest keep
    /// room for them.
    pub(crate) async fn serve<R: Future<Output = Fault>>(
        &mut self,
        client: &mut Stream,
        servers: &mut impl Servers,
        signals: &mut Signals<'_, R>,
    ) -> Left {
        loop {
            if self.arrived.is_empty()
                && servers.stream().is_none()
                && let Some(end) = self.rest(client, signals).await
            {
                let mut relay = Relay::new(self);
                return Box::pin(async move { relay.finish(end, client, servers).await }).await;
            }
            let mut relay = Box::new(Relay::new(self));
            if let Some(end) = Box::pin(relay.run(client, servers, signals)).await {
                return Box::pin(relay.finish(end, client, servers)).await;
            }
            relay.rests_from_now_on(self);
        }
    }

    /// Waits for a client that has no server connection to say something. Says how the session ends, if it does.
    async fn rest<R: Future<Output = Fault>>(
        &mut self,
        client: &mut Stream,
        signals: &mut Signals<'_, R>,
    ) -> Option<End> {
        let too_long = self.dials.read().session_limits.idle.map(|limit| Box::pin(sleep_until(Instant::now() + limit)));
        tokio::select! {
            arrived = read(client) => {
                self.arrived = arrived;
                self.arrived.is_empty().then_some(End::ClientGone)
            }
            end = async {
                loop {
                    match signals.next().await {
                        Word::Revoked(fault) => return End::Told(fault),
                        Word::Lapsed(_) => return End::Told(Fault::token_expired(&self.visit)),
                        Word::Shutdown => return End::Told(Fault::shutdown()),
                        // Its next server connection is one where the tenant is then.
                        Word::Yield => {}
                    }
                }
            } => Some(end),
            () = async {
                match too_long {
                    Some(timer) => timer.await,
                    None => std::future::pending().await,
                }
            } => Some(End::Told(idle_for_too_long())),
        }
    }
}

/// Waits for a client's next words, in no buffer of its own; empty when there are none to come.
async fn read(client: &mut Stream) -> BytesMut {
    poll_fn(|cx| {
        let mut room = [MaybeUninit::uninit(); FIRST];
        let mut room = ReadBuf::uninit(&mut room);
        // Whatever is wrong with the connection, the client is gone.
        let _gone = ready!(Pin::new(&mut *client).poll_read(cx, &mut room));
        Poll::Ready(BytesMut::from(room.filled()))
    })
    .await
}
