//! The workers.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use serde_json::{Value, json};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{sleep, timeout};

use crate::arguments::{Arguments, Credentials};
use crate::connection::{Connection, LoadError};
use crate::draw::{Draw, Random};
use crate::statement::Statement;
use crate::tally::Tally;

/// After which an answer that is still outstanding will not come.
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    WarmingUp,
    Measuring,
    Over,
}

struct Tenant {
    who: Credentials,
    free: RefCell<Vec<Connection>>,
}

struct Load {
    port: u16,
    tenants: Vec<Tenant>,
    draw: Draw,
    statement: Statement,
    prepare: Option<BytesMut>,
    phase: Cell<Phase>,
    tally: RefCell<Tally>,
    /// Connections that the workers have still to open before they begin, from the last to the first.
    unopened: Cell<usize>,
}

/// Does what the arguments say; returns what it saw, and what keeps the connections open.
pub(crate) async fn work(arguments: &Arguments) -> Result<(Value, Vec<Connection>), LoadError> {
    let who = Credentials::read(&arguments.tenants)?;
    let statement = Statement::new(&arguments.query, arguments.rows, arguments.prepared);
    let load = Rc::new(Load {
        port: arguments.port,
        draw: Draw::new(who.len(), arguments.zipf.unwrap_or(0.0)),
        prepare: statement.prepare(),
        statement,
        phase: Cell::new(Phase::WarmingUp),
        tally: RefCell::default(),
        unopened: Cell::new(arguments.idle.unwrap_or(who.len())),
        tenants: who.into_iter().map(|who| Tenant { who, free: RefCell::default() }).collect(),
    });
    let local = LocalSet::new();
    local.run_until(each_worker(arguments, |_| load.clone().open_all())).await?;
    let seen = if arguments.idle.is_some() {
        json!({ "connections": load.connections() })
    } else {
        let measured = measure(&load, Duration::from_secs(arguments.warm_up), Duration::from_secs(arguments.seconds));
        let working = each_worker(arguments, |seed| load.clone().transactions(seed));
        let (elapsed, ended) = local.run_until(async { tokio::join!(measured, working) }).await;
        ended?;
        load.tally.take().sum_up(elapsed, load.connections())
    };
    let mut kept: Vec<_> = load.tenants.iter().flat_map(|tenant| tenant.free.take()).collect();
    kept.iter_mut().for_each(Connection::rest);
    Ok((seen, kept))
}

/// Runs one of these for each worker, and ends all when one fails.
async fn each_worker<F>(arguments: &Arguments, make: impl Fn(u64) -> F) -> Result<(), LoadError>
where
    F: Future<Output = Result<(), LoadError>> + 'static,
{
    let mut workers = JoinSet::new();
    for seed in 0..arguments.workers {
        workers.spawn_local(make(seed.into()));
    }
    while let Some(ended) = workers.join_next().await {
        ended.map_err(std::io::Error::from)??;
    }
    Ok(())
}

/// Tells the workers when to begin counting and when to end; returns how long they counted.
async fn measure(load: &Load, warm_up: Duration, counted: Duration) -> Duration {
    sleep(warm_up).await;
    load.phase.set(Phase::Measuring);
    let begun = Instant::now();
    sleep(counted).await;
    load.phase.set(Phase::Over);
    begun.elapsed()
}

impl Load {
    fn connections(&self) -> usize {
        self.tenants.iter().map(|tenant| tenant.free.borrow().len()).sum()
    }

    async fn open(&self, tenant: &Tenant) -> Result<Connection, LoadError> {
        timeout(PATIENCE, Connection::open(self.port, &tenant.who, self.prepare.as_deref()))
            .await
            .unwrap_or(Err(LoadError::Stuck))
    }

    /// Opens connections together with the other workers, until all are there and have run the statement.
    async fn open_all(self: Rc<Self>) -> Result<(), LoadError> {
        let (mut random, mut request) = (Random::new(0), BytesMut::new());
        while let Some(next) = self.unopened.get().checked_sub(1) {
            self.unopened.set(next);
            let Some(tenant) = self.tenants.get(next % self.tenants.len()) else { break };
            let mut connection = self.open(tenant).await?;
            self.statement.write(&mut request, &mut random);
            timeout(PATIENCE, connection.run(&request)).await.unwrap_or(Err(LoadError::Stuck))?;
            connection.rest();
            tenant.free.borrow_mut().push(connection);
        }
        Ok(())
    }

    async fn transactions(self: Rc<Self>, seed: u64) -> Result<(), LoadError> {
        let (mut random, mut request) = (Random::new(seed << 32), BytesMut::new());
        while self.phase.get() != Phase::Over {
            let Some(tenant) = self.tenants.get(self.draw.next(&mut random)) else { break };
            self.statement.write(&mut request, &mut random);
            match self.transaction(tenant, &request).await {
                Err(LoadError::Stuck) => return Err(LoadError::Stuck),
                Ok(took) => self.count(|tally| tally.done(took)),
                Err(error) => self.count(|tally| tally.failed(&error)),
            }
        }
        Ok(())
    }

    /// Runs the request on a free connection, or else on a new one, whose opening does not count towards its time.
    async fn transaction(&self, tenant: &Tenant, request: &[u8]) -> Result<Duration, LoadError> {
        let free = tenant.free.borrow_mut().pop();
        let mut connection = if let Some(connection) = free {
            connection
        } else {
            self.count(Tally::opened);
            self.open(tenant).await?
        };
        let begun = Instant::now();
        let outcome = timeout(PATIENCE, connection.run(request)).await.unwrap_or(Err(LoadError::Stuck));
        let took = begun.elapsed();
        if matches!(outcome, Ok(()) | Err(LoadError::Refused(_))) {
            tenant.free.borrow_mut().push(connection);
        }
        outcome.map(|()| took)
    }

    fn count(&self, what: impl FnOnce(&mut Tally)) {
        if self.phase.get() == Phase::Measuring {
            what(&mut self.tally.borrow_mut());
        }
    }
}
