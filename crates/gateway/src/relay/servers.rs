//! Where a session's server connections come from, as the relay sees it.

use std::sync::Arc;

use bytes::BytesMut;
use pool::{Residue, Settings};
use tls::Stream;

use crate::fault::Fault;
use crate::statement::Clerk;

/// In what state a server connection was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// Idle, outside of a transaction, nothing sent since and nothing owed.
    Clean,
    /// At work on a statement, or possibly so.
    Working,
    /// Anything else: fit for nothing but being closed.
    Spoilt,
}

/// Where a session's server connections come from, and go.
pub(crate) trait Servers: Send {
    /// The one that it has.
    fn stream(&mut self) -> Option<&mut Stream>;

    /// What clients have left on it on purpose; `None` if there is none, or nobody but this client uses it.
    fn residue(&mut self) -> Option<&mut Residue>;

    /// Takes one that is at hand and as [`Servers::attach`] would have it.
    fn attach_now(&mut self, need: &Need) -> bool;

    /// Gets one. May be abandoned.
    fn attach(&mut self, need: &Need) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Exchanges the one it has, on which nothing has happened but the beginning of a transaction, for one of the tenant's
    /// own login, on which `beginning` is said again.
    fn move_home(&mut self, need: &Need, beginning: &str) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Where the tenant has moved with the last attachment, if it has.
    fn moved(&mut self) -> Option<Moved>;

    /// Finds out what has become of the one it has, between two transactions.
    fn settle(&mut self, question: Question<'_>) -> impl Future<Output = Result<Settled, Fault>> + Send;

    /// Has the server interrupt what it is doing, without waiting for it.
    fn interrupt(&mut self);

    /// Closes it: it is lost.
    fn lose(&mut self) -> impl Future<Output = ()> + Send;

    /// Gives it back, between two transactions, noting whose it was.
    fn release(&mut self, client: u64) -> impl Future<Output = ()> + Send;
}

/// What a transaction needs its connection to be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Need {
    /// The settings of its session.
    pub(crate) settings: Settings,
    /// The client, by its number, if the session must not know what another has drawn from sequences.
    pub(crate) draws: Option<u64>,
    /// It has to be one of the tenant's own login.
    pub(crate) own: bool,
}

/// What to find out of a session and to do about it.
#[derive(Debug)]
pub(crate) struct Question<'q> {
    /// Settings of the app's own making.
    pub(crate) names: &'q [String],
    /// The server is to forget its prepared statements.
    pub(crate) forget: bool,
    /// The session is to be asked what it keeps.
    pub(crate) ask: bool,
}

/// A tenant is somewhere else than before.
#[derive(Debug)]
pub(crate) struct Moved {
    /// Who reads statements from now on, if anybody has to.
    pub(crate) clerk: Option<Arc<Clerk>>,
    /// Statements mean something else there.
    pub(crate) to_another_isolation: bool,
}

/// What was found out.
#[derive(Debug)]
pub(crate) struct Settled {
    /// The session's settings, and whether it keeps anything else; `None` if it was not asked.
    pub(crate) found: Option<(Settings, bool)>,
    /// What the server said meanwhile, for the client.
    pub(crate) overheard: BytesMut,
}
