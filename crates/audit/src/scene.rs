//! Two canary tenants, what they have, and how the victim is watched.

use std::io;
use std::time::Duration;

use domain::{Access, Isolation, Role, quote_ident};
use tls::Trust;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::attack::Door;
use crate::canary::{Canary, Ground};
use crate::client::{Client, Entry};
use crate::heard::Heard;
use crate::judge::Fault;
use crate::names::Names;
use crate::operator::Operator;
use crate::place::{self, Place};
use crate::trial::enter;
use crate::{AuditError, known};

/// A pair of tenants of one isolation, set up for being attacked.
pub(crate) struct Scene {
    ground: Ground,
    pub(crate) attacker: Canary,
    pub(crate) victim: Canary,
    word: String,
    mine: String,
    names: Names,
    self_names: Names,
    place: Place,
    /// The victim's session that stays open, as an application's would.
    standing: Mutex<Option<Client>>,
    /// What the victim's session and roles look like while nobody harms them.
    baseline: String,
    roles: String,
    /// An operator on the attacker's database, and one on the victim's.
    beside: Operator,
    within: Operator,
}

impl Scene {
    /// Gives both tenants their words, opens the victim's session and collects every name.
    pub(crate) async fn set(ground: Ground, attacker: Canary, victim: Canary) -> Result<Self, AuditError> {
        let beside = Operator::open(&ground.catalog, &attacker.tenant.placement).await?;
        let within = Operator::open(&ground.catalog, &victim.tenant.placement).await?;
        let (word, mine) = (format!("canary{}", known::random_hex(6)?), format!("mine{}", known::random_hex(6)?));
        let mut standing = enter(&gateway_entry(&ground, &victim)).await?;
        let mut own = enter(&gateway_entry(&ground, &attacker)).await?;
        let place = place::find(&within, &victim, &mut standing, &word).await?;
        place::put(&place, &mut own, &mine).await?;
        let mut names = known::names(&attacker, &victim, &place, &word, &mine, &within).await?;
        known::belongings(&mut names, &mut standing, &word).await?;
        place::relations(&mut names, &within, &victim, &mut own, &mut standing, &word).await?;
        let mut self_names = known::names(&victim, &victim, &place, &word, &mine, &within).await?;
        for name in ["object", "pid", "temp", "sequence", "sequence_name"] {
            if let Some(value) = names.get(name) {
                self_names.set(name, value.to_owned());
            }
        }
        let roles = within.roles_of(&victim, &attacker).await?;
        let mut scene = Self {
            ground,
            attacker,
            victim,
            word,
            mine,
            names,
            self_names,
            place,
            standing: Mutex::new(None),
            baseline: String::new(),
            roles,
            beside,
            within,
        };
        scene.baseline = standing.query(&scene.state_query()).await?.rows();
        if !scene.baseline.contains(&scene.word) {
            let (table, found) = (scene.place.table.clone(), scene.baseline.clone());
            return Err(AuditError::Canary(format!("its word does not stay in {table}: {found:?}")));
        }
        scene.standing = Mutex::new(Some(standing));
        Ok(scene)
    }

    pub(crate) fn isolation(&self) -> Isolation {
        self.victim.tenant.placement.isolation
    }

    /// The victim's canary.
    pub(crate) fn word(&self) -> &str {
        &self.word
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    /// The names for a victim that tries an attack on itself.
    pub(crate) fn self_names(&self) -> &Names {
        &self.self_names
    }

    pub(crate) fn fill(&self, text: &str) -> Option<String> {
        self.names.fill(text).ok()
    }

    pub(crate) fn attacker_entry(&self, door: Door) -> Entry {
        entry(&self.ground, &self.attacker, door)
    }

    pub(crate) fn victim_entry(&self, door: Door) -> Entry {
        entry(&self.ground, &self.victim, door)
    }

    /// A statement of the victim's on a session of its own.
    pub(crate) async fn spare(&self, sql: &str) -> io::Result<Heard> {
        enter(&self.victim_entry(Door::Gateway)).await?.query(sql).await
    }

    /// A statement of an operator's on the attacker's database.
    pub(crate) async fn operate(&self, sql: &str) -> io::Result<()> {
        self.beside.run(sql).await.map_err(io::Error::other)
    }

    /// The victim logs in to its server anew, which has to work within a time.
    pub(crate) async fn victim_login(&self, within: Duration) -> io::Result<Heard> {
        match timeout(within, Client::enter(&self.victim_entry(Door::Direct))).await {
            Ok(Ok(Ok(_client))) => Ok(Heard::default()),
            Ok(Ok(Err(refused))) => Ok(refused),
            Ok(Err(error)) => Err(error),
            // Nothing was said, and that is what is wrong.
            Err(_elapsed) => Ok(Heard { closed: true, ..Heard::default() }),
        }
    }

    /// A request to the control API.
    pub(crate) async fn http(&self, text: &str) -> io::Result<Heard> {
        let Some((host, port)) = &self.ground.api else { return Err(io::Error::other("there is no control API")) };
        let mut client = Client::open(host, *port, &Trust::plain()).await?;
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let head = head.replace('\n', "\r\n");
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let request = format!("{head}\r\nHost: {host}\r\nConnection: close\r\n{length}\r\n{body}");
        client.send(request.as_bytes()).await?;
        Ok(Heard { raw: client.drain().await?, ..Heard::default() })
    }

    /// Whether the victim works as before: it reads and changes its row within a time, is who it was, and its roles and
    /// rows are as they were.
    pub(crate) async fn look_after(&self, within: Duration) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut standing = self.standing.lock().await;
        if let Some(client) = standing.as_mut() {
            match timeout(within, client.query(&self.state_query())).await {
                Err(_elapsed) => {
                    faults.push(Fault::escape(format!("the victim was held up for more than {within:?}")));
                    *standing = None;
                }
                Ok(Err(error)) => {
                    faults.push(Fault::escape(format!("the victim's session was disturbed: {error}")));
                    *standing = None;
                }
                Ok(Ok(heard)) => {
                    if heard.rows() != self.baseline {
                        let what =
                            format!("the victim is not as it was: {}; before: {}", heard.summary(), self.baseline);
                        faults.push(Fault::escape(what));
                    }
                    if heard.tells(&self.mine) {
                        faults.push(Fault::escape("the victim was told something of the attacker's".to_owned()));
                    }
                    if heard.closed {
                        *standing = None;
                    }
                }
            }
        } else {
            faults.push(Fault::escape("the victim has no session any more".to_owned()));
        }
        match self.within.roles_of(&self.victim, &self.attacker).await {
            Ok(roles) if roles == self.roles => {}
            Ok(roles) => faults.push(Fault::escape(format!("the victim's roles were changed: {roles}"))),
            Err(error) => faults.push(Fault::astray(format!("the victim's roles could not be read: {error}"))),
        }
        faults
    }

    /// Gives the victim a session again.
    pub(crate) async fn recover(&self) {
        let mut standing = self.standing.lock().await;
        if standing.is_none() {
            match enter(&gateway_entry(&self.ground, &self.victim)).await {
                Ok(client) => *standing = Some(client),
                Err(error) => tracing::warn!(%error, "the audit's victim cannot log in again"),
            }
        }
    }

    /// Work of the victim's that counters, sizes, estimates and sequences would show to whoever can see them.
    pub(crate) async fn stir(&self) -> Result<(), AuditError> {
        let Place { table, column, .. } = &self.place;
        let update = format!("UPDATE {table} SET {column} = {column}; ");
        let mut client = enter(&self.victim_entry(Door::Gateway)).await?;
        client.query(&format!("BEGIN; {} COMMIT", update.repeat(120))).await?;
        if let Some(sequence) = self.names.get("sequence") {
            let draw = format!("SELECT nextval('{sequence}'), nextval('{sequence}')");
            client.query(&draw).await?;
        }
        self.within.run(&format!("ANALYZE {table}")).await?;
        Ok(())
    }

    /// The same statement as somebody who sees everything, where victim and attacker share a database.
    pub(crate) async fn seen_by_operator(&self, sql: &str) -> Option<String> {
        let sql = self.names.fill(sql).ok()?;
        self.beside.rows(&sql).await.ok()
    }

    /// The victim writes its row and reads what it is and has.
    fn state_query(&self) -> String {
        let Place { table, column, .. } = &self.place;
        let word = &self.word;
        format!(
            "UPDATE {table} SET {column} = {column} WHERE {column} = '{word}';
             SELECT session_user, current_user, current_setting('search_path'), current_setting('statement_timeout'),
                    current_setting('row_security'), count(*), count(*) FILTER (WHERE {column} = '{word}'),
                    max({column}) FILTER (WHERE {column} = '{word}'), sum(hashtext({column}::text)) FROM {table}"
        )
    }
}

fn gateway_entry(ground: &Ground, canary: &Canary) -> Entry {
    entry(ground, canary, Door::Gateway)
}

/// The way in through a door.
fn entry(ground: &Ground, canary: &Canary, door: Door) -> Entry {
    let tenant = &canary.tenant;
    let placement = &tenant.placement;
    let at = ground.catalog.routes().cluster(placement.cluster);
    // Without a record there is nobody to connect to.
    let (host, port, trust) = match at {
        Some(at) => (at.servers.first().host.clone(), at.servers.first().port, at.trust),
        None => (String::new(), 0, Trust::plain()),
    };
    match door {
        Door::Gateway => Entry {
            host: ground.gateway.0.clone(),
            port: ground.gateway.1,
            trust: Trust::plain(),
            parameters: vec![("user", tenant.slug.to_string()), ("database", tenant.app.to_string())],
            password: canary.secret.clone(),
            token: None,
        },
        Door::Dense => {
            let master = ground.catalog.master();
            let login = tenant.app.names().dense;
            Entry {
                host,
                port,
                trust,
                password: master.dense_password(placement.cluster, &login),
                parameters: vec![
                    ("user", login),
                    ("database", placement.database.clone()),
                    ("search_path", placement.search_path(tenant.id)),
                ],
                token: Some((master.token_key(placement.cluster, &tenant.app), tenant.id)),
            }
        }
        Door::Direct => {
            let role = Role::new(tenant.id, Access::ReadWrite);
            Entry {
                host,
                port,
                trust,
                parameters: vec![
                    ("user", role.to_string()),
                    ("database", placement.database.clone()),
                    ("search_path", placement.search_path(tenant.id)),
                ],
                password: ground.catalog.master().role_password(placement.cluster, role),
                token: None,
            }
        }
    }
}

/// A table with its schema.
pub(crate) fn qualified(schema: &str, table: &str) -> String {
    format!("{}.{}", quote_ident(schema), quote_ident(table))
}
