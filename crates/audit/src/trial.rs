//! Trying one attack on one pair of tenants, in every way that it can be sent.

use std::io;
use std::time::Duration;

use tokio::time::timeout;

use crate::attack::{Accept, Attack, Deed, Door};
use crate::bytes;
use crate::client::{Client, Entry, PATIENCE};
use crate::heard::Heard;
use crate::judge::{self, Fault};
use crate::names::{Missing, Names};
use crate::scene::Scene;

/// How long the victim may be held up before that counts as an escape.
const HELD_UP: Duration = Duration::from_secs(2);

/// Time for a statement that is not waited for to reach the server and begin to wait there.
const UNDER_WAY: Duration = Duration::from_millis(150);

/// How the attacker sends its statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As simple queries, each for itself.
    Plain,
    /// As simple queries in one transaction.
    Block,
    /// In the extended protocol.
    Extended,
}

impl Manner {
    const ALL: [Self; 3] = [Self::Plain, Self::Block, Self::Extended];

    fn words(self) -> &'static str {
        match self {
            Self::Plain => "as it stands",
            Self::Block => "in a transaction",
            Self::Extended => "in the extended protocol",
        }
    }
}

/// What came of an attack at a place.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// How often it was tried.
    pub(crate) attempts: usize,
    /// What went wrong; none when the tenant stayed inside.
    pub(crate) faults: Vec<Fault>,
    /// Why it does not apply here.
    pub(crate) skipped: Option<String>,
}

/// The attacker's connections during one attempt.
pub(crate) struct Attacker<'s> {
    scene: &'s Scene,
    entry: Entry,
    names: Names,
    client: Option<Client>,
    second: Option<Client>,
    /// What was told on sessions that are not waited for.
    aside: Vec<Heard>,
}

impl<'s> Attacker<'s> {
    pub(crate) fn new(scene: &'s Scene, entry: Entry, names: Names) -> Self {
        Self { scene, entry, names, client: None, second: None, aside: Vec::new() }
    }

    /// Does every step and gives back what was said to each.
    pub(crate) async fn perform(&mut self, attack: &Attack, manner: Manner) -> io::Result<Vec<Heard>> {
        if manner == Manner::Block {
            self.session().await?.query("BEGIN").await?;
        }
        let mut told = Vec::new();
        for step in &attack.steps {
            told.push(self.take(&step.deed, manner).await?);
        }
        Ok(told)
    }

    async fn take(&mut self, deed: &Deed, manner: Manner) -> io::Result<Heard> {
        let fill = |text: &str| self.names.fill(text).map_err(|Missing(name)| io::Error::other(name));
        match deed {
            Deed::Sql(text) => {
                let sql = fill(text)?;
                let client = self.session().await?;
                let heard = match manner {
                    Manner::Extended => client.extended(&sql).await?,
                    Manner::Plain | Manner::Block => client.query(&sql).await?,
                };
                if heard.closed {
                    self.client = None;
                }
                Ok(heard)
            }
            Deed::Second(text) => {
                let sql = fill(text)?;
                self.second().await?.query(&sql).await
            }
            Deed::SecondUnanswered(text) => {
                let mut out = ::bytes::BytesMut::new();
                wire::frontend::query(&mut out, &fill(text)?);
                let second = self.second().await?;
                second.send(&out).await?;
                let heard = second.overhear(UNDER_WAY).await?;
                Ok(heard)
            }
            Deed::Victim(text) => {
                let sql = fill(text)?;
                let told = timeout(HELD_UP, self.scene.spare(&sql)).await;
                told.unwrap_or_else(|_| Ok(Heard::default())).map(|_| Heard::default())
            }
            Deed::Operator(text) => {
                let sql = fill(text)?;
                self.scene.operate(&sql).await?;
                Ok(Heard::default())
            }
            Deed::VictimLogin => self.scene.victim_login(HELD_UP).await,
            Deed::Open => {
                self.client = Some(Client::open(&self.entry.host, self.entry.port, &self.entry.trust).await?);
                Ok(Heard::default())
            }
            Deed::Bytes(text) => {
                let bytes = bytes::read(&fill(text)?).map_err(io::Error::other)?;
                let client = self.session().await?;
                let _a_server_that_hung_up_may_have_said_why = client.send(&bytes).await;
                client.overhear(UNDER_WAY).await
            }
            Deed::Http(text) => self.scene.http(&fill(text)?).await,
        }
    }

    async fn session(&mut self) -> io::Result<&mut Client> {
        if self.client.is_none() {
            self.client = Some(enter(&self.entry).await?);
        }
        self.client.as_mut().ok_or_else(|| io::Error::other("no session"))
    }

    async fn second(&mut self) -> io::Result<&mut Client> {
        if self.second.is_none() {
            self.second = Some(enter(&self.entry).await?);
        }
        self.second.as_mut().ok_or_else(|| io::Error::other("no second session"))
    }

    /// Ends what the attempt began. A session that came through unharmed is kept for the next attempt.
    pub(crate) async fn clear_up(&mut self, keep: bool) -> Vec<Heard> {
        let mut told = std::mem::take(&mut self.aside);
        if let Some(mut client) = self.client.take() {
            let cleared = match client.query("ROLLBACK").await {
                Ok(heard) if keep && heard.idle => client.query("DISCARD ALL").await.ok(),
                _ => None,
            };
            if let Some(heard) = cleared {
                if heard.idle && heard.state().is_none() {
                    self.client = Some(client);
                }
                told.push(heard);
            }
        }
        if let Some(mut second) = self.second.take() {
            // Whatever it waited for is free now.
            if let Ok(heard) = second.overhear(UNDER_WAY).await {
                told.push(heard);
            }
        }
        told
    }
}

/// A session of a tenant's. At a busy moment a place may have to be waited for.
pub(crate) async fn enter(entry: &Entry) -> io::Result<Client> {
    let mut refused = String::new();
    for _ in 0..5 {
        match timeout(PATIENCE, Client::enter(entry)).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? {
            Ok(client) => return Ok(client),
            Err(heard) => refused = heard.summary(),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(io::Error::other(format!("a canary cannot log in: {refused}")))
}

/// Tries an attack in every manner that it allows, through one door.
pub(crate) async fn attempt(scene: &Scene, attack: &Attack, door: Door, attacker: &mut Attacker<'_>) -> Outcome {
    let mut outcome = Outcome::default();
    let only_sql = attack.steps.iter().all(|step| !matches!(step.deed, Deed::Open | Deed::Bytes(_) | Deed::Http(_)));
    for manner in Manner::ALL {
        if manner != Manner::Plain && (attack.plain_only || !only_sql) {
            continue;
        }
        outcome.attempts += 1;
        let performed = attacker.perform(attack, manner).await;
        let mut faults = match &performed {
            Ok(told) => judge::steps(attack, scene, door, manner == Manner::Plain, told),
            Err(error) => vec![Fault::astray(format!("it could not be carried out: {error}"))],
        };
        faults.extend(scene.look_after(HELD_UP).await);
        let aside = attacker.clear_up(only_sql && door != Door::Dense).await;
        if aside.iter().any(|heard| heard.tells(scene.word())) {
            faults.push(Fault::escape("the attacker was told the victim's canary afterwards".to_owned()));
        }
        if faults.iter().any(Fault::is_escape) {
            scene.recover().await;
        }
        outcome.faults.extend(faults.into_iter().map(|fault| fault.when(manner.words())));
        if manner == Manner::Plain
            && let Ok(told) = &performed
        {
            outcome.faults.extend(control(scene, attack, door, told).await);
        }
    }
    outcome
}

/// Shows that an attack which told nothing would have told something: the victim tries it on itself.
async fn control(scene: &Scene, attack: &Attack, door: Door, told: &[Heard]) -> Option<Fault> {
    let rests_on_silence = attack.steps.iter().zip(told).any(|(step, heard)| {
        let accept = step.verdict(scene.isolation(), door).unwrap_or_default();
        // That there is nothing to see, for whoever asks in this way, is as good where it is said.
        let expected_none = accept.contains(&Accept::NoRows) && heard.row_count() == 0;
        accept.contains(&Accept::Blind) && heard.state().is_none() && !expected_none
    });
    if !rests_on_silence {
        return None;
    }
    let mut itself = Attacker::new(scene, scene.victim_entry(door), scene.self_names().clone());
    let performed = itself.perform(attack, Manner::Plain).await;
    let mut heard = performed.unwrap_or_default();
    heard.extend(itself.clear_up(false).await);
    if heard.iter().any(|heard| heard.tells(scene.word())) {
        return None;
    }
    let said: Vec<String> = heard.iter().map(Heard::summary).collect();
    Some(Fault::astray(format!(
        "it proves nothing: it tells the victim nothing of itself either ({})",
        said.join(" / ")
    )))
}
