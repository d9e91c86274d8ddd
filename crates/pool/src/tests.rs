//! A model of the pool: made-up clients do made-up things in any order, and what must always hold is looked at after each.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use domain::Servers;
use proptest::prelude::*;
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use crate::cluster::{Answer, Cluster, Grant, Serve};
use crate::concurrency::Strain;
use crate::fair::Limits;
use crate::permit::{Enlisted, Permit};
use crate::route::Purpose;
use crate::{Route, Secret, Serves, SessionParams, Share};

/// Tenants of the model. Each has two purposes of its own, and all share one.
const TENANTS: usize = 4;

/// A connection of the model knows what it is for and whose login it is.
#[derive(Debug)]
struct Wire {
    purpose: usize,
    number: u64,
    /// Whom it served last, where its login serves many.
    serves: Option<Uuid>,
}

impl Serve for Wire {
    fn serves(&self) -> Option<Uuid> {
        self.serves
    }
}

/// What a client does.
#[derive(Debug, Clone)]
enum Step {
    /// Asks for a connection of a tenant's purpose, of three.
    Ask { tenant: usize, which: usize },
    /// Takes one only if one rests.
    Take { tenant: usize, which: usize },
    /// Looks whether its turn has come.
    Look { who: usize },
    /// Stops waiting.
    GiveUp { who: usize },
    /// Gives back what it has.
    GiveBack { who: usize },
    /// Closes what it has.
    Close { who: usize },
    /// What it has, has changed hands.
    Settle { who: usize },
    /// The tenant is suspended.
    CloseTenant { tenant: usize },
    /// Time passes.
    Pass { millis: u64 },
    /// Processors become few, or many again.
    Limit { limit: Option<u32> },
    /// What rests for too long is closed.
    Tend,
}

fn step() -> impl Strategy<Value = Step> {
    let (tenant, which, who) = (0..TENANTS, 0..3_usize, any::<usize>());
    prop_oneof![
        6 => (tenant.clone(), which.clone()).prop_map(|(tenant, which)| Step::Ask { tenant, which }),
        2 => (tenant.clone(), which).prop_map(|(tenant, which)| Step::Take { tenant, which }),
        3 => who.prop_map(|who| Step::Look { who }),
        1 => any::<usize>().prop_map(|who| Step::GiveUp { who }),
        5 => any::<usize>().prop_map(|who| Step::GiveBack { who }),
        1 => any::<usize>().prop_map(|who| Step::Close { who }),
        3 => any::<usize>().prop_map(|who| Step::Settle { who }),
        1 => tenant.prop_map(|tenant| Step::CloseTenant { tenant }),
        1 => (0..3000_u64).prop_map(|millis| Step::Pass { millis }),
        1 => Just(Step::Tend),
        1 => prop::option::of(1..4_u32).prop_map(|limit| Step::Limit { limit }),
    ]
}

/// A client that has a connection.
struct Lent {
    tenant: usize,
    wire: Wire,
    permit: Permit<Wire>,
    user: Enlisted<Wire>,
}

/// A client that waits.
struct Waiting {
    tenant: usize,
    purpose: usize,
    granted: oneshot::Receiver<Grant<Wire>>,
    user: Enlisted<Wire>,
}

struct Model {
    cluster: Arc<Cluster<Wire>>,
    limits: Limits,
    most: usize,
    now: Instant,
    purposes: Vec<Arc<Purpose>>,
    lent: Vec<Lent>,
    waiting: VecDeque<Waiting>,
    opened: u64,
}

fn purpose(role: &str, serves: Serves, label: usize) -> Arc<Purpose> {
    let route = Route {
        cluster: Uuid::nil(),
        servers: Servers::one("", 1),
        trust: tls::Trust::plain(),
        database: String::new(),
        role: role.to_owned(),
        serves,
        password: Secret::new(""),
        search_path: String::new(),
    };
    Arc::new(Purpose::new(route, SessionParams::from_iter([("application_name", label.to_string())])))
}

impl Model {
    fn new(limits: Limits, most: usize) -> Self {
        let mut purposes: Vec<_> =
            (0..2 * TENANTS).map(|index| purpose(&format!("t_{}", index / 2), Serves::One, index % 2)).collect();
        purposes.push(purpose("many", Serves::Many, 0));
        Self {
            cluster: Arc::new(Cluster::new(limits)),
            limits,
            most,
            now: Instant::now(),
            purposes,
            lent: Vec::new(),
            waiting: VecDeque::new(),
            opened: 0,
        }
    }

    fn share(&self, tenant: usize) -> Share {
        Share { tenant: Uuid::from_u128(tenant as u128 + 1), most: self.most }
    }

    /// Whom a connection has to serve before it is of use.
    fn serves(&self, tenant: usize, purpose: usize) -> Option<Uuid> {
        (purpose == 2 * TENANTS).then(|| self.share(tenant).tenant)
    }

    fn purpose_of(tenant: usize, which: usize) -> usize {
        if which == 2 { 2 * TENANTS } else { 2 * tenant + which }
    }

    fn act(&mut self, step: &Step) {
        match *step {
            Step::Ask { tenant, which } => self.ask(tenant, Self::purpose_of(tenant, which)),
            Step::Take { tenant, which } => {
                let wanted = Self::purpose_of(tenant, which);
                let serves = self.serves(tenant, wanted);
                let taken = self.cluster.take(&self.purposes[wanted], self.share(tenant), serves, |_| true, self.now);
                if let Some((user, resting)) = taken {
                    assert_eq!(resting.connection.serves, serves, "a connection that serves another");
                    assert_eq!(resting.connection.purpose, wanted, "a connection crossed purposes");
                    self.lent.push(Lent { tenant, wire: resting.connection, permit: resting.permit, user });
                }
            }
            Step::Look { who } => {
                if !self.waiting.is_empty() {
                    self.waiting.rotate_left(who % self.waiting.len());
                    self.collect_first();
                }
            }
            Step::GiveUp { who } => {
                if !self.waiting.is_empty() {
                    self.waiting.swap_remove_back(who % self.waiting.len());
                }
            }
            Step::GiveBack { who } => {
                if let Some(lent) = self.pick(who) {
                    self.give_back(lent);
                }
            }
            Step::Close { who } => {
                if let Some(Lent { wire, permit, user, .. }) = self.pick(who) {
                    drop((wire, permit, user));
                }
            }
            Step::Settle { who } => {
                if let Some(mut lent) = self.pick(who) {
                    lent.permit.settle();
                    self.lent.push(lent);
                }
            }
            Step::CloseTenant { tenant } => {
                let role = format!("t_{tenant}");
                self.cluster.close(|purpose| purpose.route.role == role);
            }
            Step::Pass { millis } => {
                self.now += Duration::from_millis(millis);
                self.cluster.advance(self.now);
            }
            Step::Limit { limit } => self.cluster.limit_to(limit, self.now),
            Step::Tend => {
                let now = self.now;
                self.cluster.tend(|_, since| now.duration_since(since) > Duration::from_secs(5));
            }
        }
    }

    fn pick(&mut self, who: usize) -> Option<Lent> {
        (!self.lent.is_empty()).then(|| self.lent.swap_remove(who % self.lent.len()))
    }

    fn give_back(&self, lent: Lent) {
        let Lent { wire, permit, user, .. } = lent;
        let purpose = Arc::clone(&self.purposes[wire.purpose]);
        self.cluster.rest(wire, purpose, &user, permit, self.now);
    }

    fn ask(&mut self, tenant: usize, wanted: usize) {
        let serves = self.serves(tenant, wanted);
        let (user, answer) = self.cluster.ask(&self.purposes[wanted], self.share(tenant), serves, |_| true, self.now);
        match answer {
            Answer::Now(grant) => self.use_grant(tenant, wanted, grant, user),
            Answer::Later(granted) => self.waiting.push_back(Waiting { tenant, purpose: wanted, granted, user }),
        }
    }

    /// The first of those who wait looks, and goes on waiting if it is not its turn.
    fn collect_first(&mut self) -> bool {
        let Some(mut first) = self.waiting.pop_front() else { return false };
        match first.granted.try_recv() {
            Ok(grant) => self.use_grant(first.tenant, first.purpose, grant, first.user),
            Err(oneshot::error::TryRecvError::Empty) => {
                self.waiting.push_back(first);
                return false;
            }
            Err(oneshot::error::TryRecvError::Closed) => panic!("somebody who waits was forgotten"),
        }
        true
    }

    fn use_grant(&mut self, tenant: usize, wanted: usize, grant: Grant<Wire>, user: Enlisted<Wire>) {
        let (mut wire, permit) = match grant {
            Grant::Connection(wire, permit, _) => {
                let as_it_is = wire.serves == self.serves(tenant, wanted);
                assert_eq!(permit.is_changing(), !as_it_is, "a change that is none, or is not noted");
                (wire, permit)
            }
            Grant::Permit(permit) => {
                self.opened += 1;
                (Wire { purpose: wanted, number: self.opened, serves: None }, permit)
            }
        };
        wire.serves = self.serves(tenant, wanted);
        assert_eq!(wire.purpose, wanted, "a connection crossed purposes");
        self.lent.push(Lent { tenant, wire, permit, user });
    }

    /// What holds after every step.
    fn check(&self) {
        let stats = self.cluster.stats();
        assert!(stats.open <= self.limits.budget, "{stats:?}");
        assert!(self.lent.len() <= stats.in_use, "a connection in use is not counted: {stats:?}");
        let mut numbers: Vec<u64> = self.lent.iter().map(|lent| lent.wire.number).collect();
        numbers.sort_unstable();
        assert!(numbers.windows(2).all(|two| two[0] != two[1]), "a connection is lent twice");
        let mut had: HashMap<usize, usize> = HashMap::new();
        for lent in &self.lent {
            *had.entry(lent.tenant).or_default() += 1;
        }
        assert!(had.values().all(|&count| count <= self.most), "more than a tenant's share: {had:?}");
        assert!(stats.changing <= stats.in_use, "what changes hands is in use: {stats:?}");
        // What is kept for a moment is looked at again when it is over.
        let keeps = self.limits.minimum > 0;
        assert!(keeps || !self.cluster.forgets(self.now), "somebody waits for what is there: {stats:?}");
        // Units in use, but not in a client's hands, are promised to somebody who has not looked yet.
        let promised = stats.in_use - self.lent.len();
        assert!(stats.waiting + promised == self.waiting.len(), "{promised} promised: {stats:?}");
    }

    /// Everybody who waits is served in the end, if those who have something give it back.
    fn settle(&mut self) {
        let mut idle_turns = 0;
        while !self.waiting.is_empty() {
            let mut served = false;
            for _ in 0..self.waiting.len() {
                served |= self.collect_first();
            }
            if let Some(lent) = self.pick(0) {
                self.give_back(lent);
            }
            self.now += Duration::from_millis(100);
            self.cluster.advance(self.now);
            self.check();
            idle_turns = if served { 0 } else { idle_turns + 1 };
            // What is kept for others is given up after a moment, and favours end.
            assert!(idle_turns < 100, "somebody waits for ever: {:?}", self.cluster.stats());
        }
        while let Some(lent) = self.pick(0) {
            self.give_back(lent);
        }
        self.cluster.close(|_| true);
        let stats = self.cluster.stats();
        let counts = (stats.open, stats.idle, stats.in_use, stats.waiting, stats.changing);
        assert_eq!(counts, (0, 0, 0, 0, 0), "a unit was lost");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_crossed_or_forgotten(
        budget in 1..6_usize, minimum in 0..3_usize, most in 1..5_usize,
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let limits = Limits { budget, minimum, keep: Duration::from_secs(1), processors: 2 };
        let mut model = Model::new(limits, most);
        for step in &steps {
            model.act(step);
            model.check();
        }
        model.settle();
    }
}

/// Five hundred clients of one tenant that come back at once, and one of another.
#[test]
fn a_crowd_does_not_stand_ahead_of_one() {
    let mut model = Model::new(Limits { budget: 10, minimum: 1, keep: Duration::from_secs(1), processors: 2 }, 100);
    for _ in 0..500 {
        model.ask(0, 0);
    }
    model.ask(1, 2);
    let lent = model.pick(0).expect("ten are lent");
    model.give_back(lent);
    for _ in 0..model.waiting.len() {
        model.collect_first();
    }
    assert_eq!(model.lent.iter().filter(|lent| lent.tenant == 1).count(), 1, "the very next");
    // Its connection stays its own while it is there, although hundreds wait.
    for _ in 0..100 {
        let own = model.lent.iter().position(|lent| lent.tenant == 1).expect("its connection");
        let own = model.lent.swap_remove(own);
        let number = own.wire.number;
        model.give_back(own);
        model.now += Duration::from_millis(10);
        model.cluster.advance(model.now);
        model.act(&Step::Take { tenant: 1, which: 0 });
        assert_eq!(model.lent.last().map(|lent| lent.wire.number), Some(number));
    }
    let own = model.lent.pop().expect("its connection");
    model.give_back(own);
    model.now += Duration::from_secs(1);
    model.cluster.advance(model.now);
    assert_eq!(model.cluster.stats().idle, 0, "what does not come back is not kept");
}

/// A tenant that works much has many that rest for a moment; what is closed for others is what nobody has come back for, else
/// what is worth least to whoever has it.
#[test]
fn what_is_wanted_least_makes_room() {
    let mut model = Model::new(Limits { budget: 6, minimum: 1, keep: Duration::from_secs(1), processors: 2 }, 100);
    let give_all_back = |model: &mut Model, pause: u64| {
        while let Some(lent) = (!model.lent.is_empty()).then(|| model.lent.remove(0)) {
            model.give_back(lent);
            model.now += Duration::from_millis(pause);
        }
    };
    // Two tenants that have one each and are quiet, and one that has four at work.
    for tenant in [1, 2, 0, 0, 0, 0] {
        model.ask(tenant, 2 * tenant);
        model.now += Duration::from_millis(10);
    }
    give_all_back(&mut model, 1000);
    model.ask(3, 6);
    model.collect_first();
    give_all_back(&mut model, 0);
    let rests = |model: &Model| {
        let state = model.cluster.resting_roles();
        ["t_0", "t_1", "t_2", "t_3"].map(|role| state.iter().filter(|it| *it == role).count())
    };
    assert_eq!(rests(&model), [4, 0, 1, 1], "the quiet one's has rested longest");
    // All have been used lately, and one tenant's four as much as each of the others'.
    for tenant in [0, 0, 0, 0, 2, 3] {
        model.act(&Step::Take { tenant, which: 0 });
    }
    give_all_back(&mut model, 0);
    for tenant in [2, 3] {
        model.act(&Step::Take { tenant, which: 0 });
        give_all_back(&mut model, 0);
    }
    model.ask(1, 2);
    model.collect_first();
    give_all_back(&mut model, 0);
    assert_eq!(rests(&model), [3, 1, 1, 1], "of the four that one tenant has");
    // It works more now.
    for _ in 0..8 {
        for _ in 0..3 {
            model.act(&Step::Take { tenant: 0, which: 0 });
        }
        give_all_back(&mut model, 0);
    }
    for _ in 0..2 {
        model.act(&Step::Take { tenant: 2, which: 0 });
        model.act(&Step::Take { tenant: 3, which: 0 });
        give_all_back(&mut model, 0);
    }
    model.ask(3, 7);
    model.collect_first();
    give_all_back(&mut model, 0);
    assert_eq!(rests(&model), [3, 0, 1, 2], "of the one that is worth least");
}

/// A tenant that is given fewer than it has gets no more until it has fewer, in the order in which its clients came.
#[test]
fn fewer_than_there_are_at_work() {
    let mut model = Model::new(Limits { budget: 10, minimum: 1, keep: Duration::from_secs(1), processors: 2 }, 100);
    for _ in 0..12 {
        model.ask(0, 0);
    }
    model.most = 3;
    model.ask(0, 0);
    for _ in 0..7 {
        let lent = model.lent.remove(0);
        model.give_back(lent);
        model.act(&Step::Take { tenant: 0, which: 0 });
        model.ask(0, 0);
        for _ in 0..model.waiting.len() {
            model.collect_first();
        }
    }
    assert_eq!((model.lent.len(), model.waiting.len()), (3, 10), "nobody was served");
    let lent = model.lent.remove(0);
    model.give_back(lent);
    model.collect_first();
    assert_eq!((model.lent.len(), model.waiting.len()), (3, 9), "one at a time");
}

/// While as many change hands as the server has time for, others wait, but not those who go on with what they have.
#[test]
fn few_change_hands_at_a_time() {
    let mut model = Model::new(Limits { budget: 10, minimum: 1, keep: Duration::from_secs(1), processors: 2 }, 100);
    for _ in 0..10 {
        model.ask(0, 0);
    }
    while let Some(lent) = model.pick(0) {
        model.give_back(lent);
    }
    let opened = model.opened;
    for tenant in 1..TENANTS {
        model.ask(tenant, 2 * tenant);
        model.ask(tenant, 2 * tenant + 1);
    }
    let collect = |model: &mut Model| {
        for _ in 0..model.waiting.len() {
            model.collect_first();
        }
    };
    collect(&mut model);
    assert_eq!((model.opened - opened, model.cluster.stats().changing, model.waiting.len()), (2, 2, 4));
    // The tenant that is there takes what it has as if nobody waited.
    for _ in 0..100 {
        model.act(&Step::Take { tenant: 0, which: 0 });
        let lent = model.lent.pop().expect("its own");
        assert_eq!(lent.tenant, 0);
        model.give_back(lent);
        model.now += Duration::from_millis(1);
    }
    assert_eq!(model.opened - opened, 2);
    // Each that is done makes way for one more.
    let mut settled = Vec::new();
    for done in 1..=4 {
        let mut lent = model.lent.remove(0);
        lent.permit.settle();
        settled.push(lent);
        collect(&mut model);
        assert_eq!(model.opened - opened, 2 + done);
    }
    assert!(model.waiting.is_empty());
}

/// While processors are few, fewer are at work than there are, divided as ever; who has nothing at work does not wait for that, and
/// what lasts for long is not taken for work.
#[test]
fn few_are_at_work_while_processors_are_few() {
    let mut model = Model::new(Limits { budget: 10, minimum: 1, keep: Duration::from_secs(1), processors: 2 }, 100);
    for _ in 0..30 {
        model.ask(0, 0);
    }
    let collect = |model: &mut Model| {
        for _ in 0..model.waiting.len() {
            model.collect_first();
        }
    };
    model.cluster.limit_to(Some(3), model.now);
    for _ in 0..7 {
        assert_eq!(model.waiting.len(), 20, "nobody is served before there are as few as may be");
        let lent = model.lent.remove(0);
        model.give_back(lent);
        collect(&mut model);
    }
    let lent = model.lent.remove(0);
    model.give_back(lent);
    collect(&mut model);
    assert_eq!((model.lent.len(), model.waiting.len()), (3, 19), "one at a time");
    model.act(&Step::Take { tenant: 0, which: 0 });
    model.ask(0, 0);
    assert_eq!((model.lent.len(), model.waiting.len()), (3, 20), "nor is anybody who comes, although some rest");
    model.ask(1, 2);
    collect(&mut model);
    assert_eq!(model.lent.iter().filter(|lent| lent.tenant == 1).count(), 1, "another tenant's first");
    model.ask(1, 2);
    assert_eq!((model.lent.len(), model.waiting.len()), (4, 21), "but not its second");
    // All four last.
    for lent in &model.lent {
        lent.user.got(1);
    }
    for _ in 0..11 {
        model.cluster.see(Strain::Much, model.now);
    }
    collect(&mut model);
    assert_eq!(model.lent.len(), 7);
    model.cluster.limit_to(None, model.now);
    collect(&mut model);
    assert_eq!(model.lent.len(), 10);
    model.settle();
}

/// Whoever has more than others is served after them.
#[test]
fn connections_in_use_are_divided_equally() {
    let mut model = Model::new(Limits { budget: 12, minimum: 1, keep: Duration::from_secs(1), processors: 2 }, 100);
    for tenant in 0..3 {
        for _ in 0..100 {
            model.ask(tenant, 2 * tenant);
        }
    }
    for _ in 0..60 {
        let lent = model.lent.remove(0);
        model.give_back(lent);
        for _ in 0..model.waiting.len() {
            model.collect_first();
        }
    }
    for tenant in 0..3 {
        assert_eq!(model.lent.iter().filter(|lent| lent.tenant == tenant).count(), 4);
    }
    // Equal shares stay where they are: nobody's connection is closed for another's, but for a turn now and then.
    let before = model.opened;
    for _ in 0..96 {
        let lent = model.lent.remove(0);
        model.give_back(lent);
        for _ in 0..model.waiting.len() {
            model.collect_first();
        }
    }
    assert!(model.opened - before <= 24, "{} were opened for 96 uses", model.opened - before);
}
