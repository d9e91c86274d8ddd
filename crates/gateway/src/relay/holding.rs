//! When a session has a server connection, and what it does when that is lost.

use wire::backend::TransactionStatus;
use wire::frame::HEADER_LEN;
use wire::report::ServerError;

use super::ledger::Ledger;
use super::lost::Mourning;
use super::pooled::Pooled;
use super::servers::{Moved, Need, Question, Servers};
use super::signals::Signals;
use super::upstream::Wish;
use super::{Deadline, End, Leaving, Relay, past};
use crate::fault::Fault;
use crate::statement::Clerk;

impl Relay {
    /// Lets what has arrived pass, and sees to the server connection: one is had when the client has something to say, and
    /// given back when it has all been answered. `false` asks to be called again.
    pub(super) async fn attend<R: Future<Output = Fault>>(
        &mut self,
        servers: &mut impl Servers,
        signals: &mut Signals<'_, R>,
        deadline: &mut Deadline,
    ) -> Result<bool, End> {
        if servers.stream().is_some() {
            self.judge(servers)?;
            if self.may_change_home() {
                return self.change_home(servers).await.map(|()| false);
            }
            let judged = if self.may_release() { self.let_go(servers).await? } else { true };
            return if servers.stream().is_none() {
                self.parting = None;
                Ok(judged)
            } else if judged && self.is_at_rest() {
                self.parting.take().map_or(Ok(true), |fault| Err(End::Told(*fault)))
            } else {
                Ok(judged)
            };
        }
        if self.leaving != Leaving::No && !self.down.pump.has_passed() {
            return Err(End::Told(self.farewell()));
        }
        if self.up.has_left() {
            return if self.down.pump.has_passed() { Ok(true) } else { Err(End::ClientGone) };
        }
        if let Some(mourning) = &mut self.mourning {
            let (answers, over) = mourning.read(&mut self.up).map_err(End::Told)?;
            self.down.pump.replace(0, &answers);
            if over {
                self.mourning = None;
            }
            return Ok(!over);
        }
        match self.up.wish().map_err(End::Told)? {
            Wish::Nothing => return Ok(true),
            Wish::Leave => {
                self.up.leave();
                return Ok(false);
            }
            // Whoever does not take its answers need not be given more.
            Wish::Server if self.down.pump.has_passed() => return Ok(true),
            Wish::Server => {}
        }
        let Some(pooled) = &mut self.pooled else { return Err(End::ServerGone(Some(Fault::server_lost()))) };
        let need = pooled.needs(self.up.upcoming());
        if servers.attach_now(&need) {
            return Ok(false);
        }
        let due = deadline.as_ref().map(|(due, _)| *due);
        let waiting = self.meter.waits();
        // Apart, since most transactions do without, and resting sessions need not keep room for it.
        let attaching = Box::pin(servers.attach(&need));
        tokio::select! {
            attached = attaching => {
                match attached {
                    Ok(()) => {
                        self.meter.has_waited(waiting);
                        self.follow(servers)?;
                    }
                    // It costs the client its transaction, not its session.
                    Err(fault) => self.mourning = Some(Box::new(Mourning::new(fault))),
                }
                Ok(false)
            }
            word = signals.next() => {
                let end = self.heed(word, false, signals.grace, deadline);
                match self.leaving {
                    // What waits has not begun.
                    Leaving::Lapsed => Err(End::Told(self.farewell())),
                    Leaving::Stopping | Leaving::No => end.map_or(Ok(false), Err),
                }
            }
            () = past(due) => {
                Err(deadline.take().map_or(End::ClientGone, |(_, end)| end))
            }
        }
    }

    /// Whether the session can go on without the server that it has.
    pub(super) fn outlives_server(&self) -> bool {
        let whole = self.up.may_start_over() && self.down.may_start_over();
        whole && self.leaving == Leaving::No && self.pooled.as_deref().is_some_and(Pooled::outlives_server)
    }

    /// Goes on without the server.
    pub(super) async fn lose(&mut self, servers: &mut impl Servers) {
        let Some(pooled) = &mut self.pooled else { return };
        servers.lose().await;
        let visit = self.meter.visit();
        let said = self.down.take_goodbye();
        let fault = said.as_deref().and_then(|said| ServerError::parse(said.get(HEADER_LEN..)?));
        let fault = fault.map_or_else(Fault::transaction_lost, Fault::server_ended);
        let (tenant, session, statement) = (visit.slug(), visit.number(), self.meter.statement());
        tracing::info!(
            %tenant, session, statement, sqlstate = %fault.sqlstate, %fault, "a server was lost, and its session goes on"
        );
        self.slow.forget();
        let loss = pooled.lose_server(fault, self.ledger.status());
        self.up.start_over();
        self.down.start_over(&loss.answers);
        self.ledger = Ledger::new();
        self.mourning = loss.mourning.map(Box::new);
    }

    /// Whether a message waits for a connection of the tenant's own login, and the other has nothing more to say.
    fn may_change_home(&self) -> bool {
        self.pooled.as_ref().is_some_and(|pooled| pooled.waits && pooled.is_answered())
            && !self.ledger.is_asked()
            && !self.up.pump.has_passed()
            && self.down.is_judged()
    }

    /// Gives back the connection that serves many, for one of the tenant's own login, before a transaction has done
    /// anything; later on, what waits is refused.
    async fn change_home(&mut self, servers: &mut impl Servers) -> Result<(), End> {
        if self.ledger.is_clean() {
            self.let_go(servers).await?;
        }
        let Some(pooled) = &mut self.pooled else { return Ok(()) };
        match pooled.beginning().map(str::to_owned) {
            _ if servers.stream().is_none() => pooled.waits = false,
            // A transaction that has failed is told so by its server, and what a session keeps does not move.
            Some(beginning)
                if self.ledger.status() == TransactionStatus::Open
                    && !self.ledger.may_be_working()
                    && !pooled.keeps_something() =>
            {
                let need = Need { own: true, ..pooled.needs(self.up.upcoming()) };
                Box::pin(servers.move_home(&need, &beginning)).await.map_err(End::Told)?;
                pooled.waits = false;
            }
            _ => pooled.refuse_what_waits(),
        }
        Ok(())
    }

    /// Goes on where the tenant is now.
    fn follow(&mut self, servers: &mut impl Servers) -> Result<(), End> {
        let Some(Moved { clerk, to_another_isolation }) = servers.moved() else { return Ok(()) };
        if let Some(pooled) = &mut self.pooled {
            let before = self.up.clerk();
            let prefix = before.map(Clerk::channel_prefix);
            let stays = clerk.as_ref().is_some_and(|clerk| Some(clerk.channel_prefix()) == prefix);
            pooled.moves(to_another_isolation, prefix.filter(|_| !stays)).map_err(End::Told)?;
        }
        self.up.read_by(clerk.clone());
        self.down.read_by(clerk);
        Ok(())
    }

    /// Whether the server connection may be another's, as far as messages tell.
    fn may_release(&self) -> bool {
        self.pooled.as_ref().is_some_and(|pooled| {
            (pooled.ask || pooled.forget || !(pooled.kept || pooled.stays()))
                && pooled.is_answered()
                && self.ledger.is_clean()
                && self.up.is_drained()
                && self.down.is_judged()
                && !self.down.has_said_goodbye()
        })
    }

    /// Gives the server connection back, unless its session keeps something. `false` if there is more to judge.
    async fn let_go(&mut self, servers: &mut impl Servers) -> Result<bool, End> {
        let Some(pooled) = &mut self.pooled else { return Ok(true) };
        pooled.rests();
        if pooled.ask || pooled.forget {
            let question = Question { names: &pooled.names, forget: pooled.forget, ask: pooled.ask };
            let settled = Box::pin(servers.settle(question)).await.map_err(|fault| End::ServerGone(Some(fault)))?;
            (pooled.ask, pooled.forget) = (false, false);
            if let Some((settings, more)) = settled.found {
                pooled.settings = settings;
                pooled.kept = more;
            }
            self.down.pump.feed(&settled.overheard);
        }
        let judged = self.down.is_judged();
        if judged && !pooled.kept && !pooled.stays() {
            servers.release(pooled.client).await;
        }
        Ok(judged)
    }
}
