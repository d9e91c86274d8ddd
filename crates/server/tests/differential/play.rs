//! Plays a session and writes down what came back.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::door::{Door, Types};
use crate::session::{Action, Session, Step};
use crate::socket::{Message, Socket, message, parse, query, sync};
use crate::transcript::Reading;

/// How long a notification may be on its way.
const PATIENCE: Duration = Duration::from_secs(5);

/// The protocol that statements are sent in (PostgreSQL manual, sections 55.2.2 and 55.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Simple,
    Extended,
}

/// Plays all steps; the lines of each.
pub(crate) async fn play(session: &Session, door: &Door, protocol: Protocol) -> Vec<Vec<String>> {
    let mut player = Player { door, protocol, types: Types::new(), connections: HashMap::new() };
    let mut transcript = Vec::new();
    for step in &session.steps {
        transcript.push(player.step(step).await);
    }
    transcript
}

struct Player<'d> {
    door: &'d Door,
    protocol: Protocol,
    types: Types,
    connections: HashMap<String, Connection>,
}

/// A connection, and notifications that came while something else was waited for.
struct Connection {
    socket: Socket,
    heard: Vec<Message>,
}

impl Player<'_> {
    async fn step(&mut self, step: &Step) -> Vec<String> {
        if !self.connections.contains_key(&step.connection) {
            let mut socket = self.door.enter().await;
            if self.types.is_empty() {
                self.types = self.door.types(&mut socket).await;
            }
            self.connections.insert(step.connection.clone(), Connection { socket, heard: Vec::new() });
        }
        let connection = self.connections.get_mut(&step.connection).expect("just entered");
        let messages = connection.act(&step.action, self.protocol).await;
        Reading { types: &self.types, hide_tenant: self.door.shows_tenant() }.lines(&messages)
    }
}

impl Connection {
    async fn act(&mut self, action: &Action, protocol: Protocol) -> Vec<Message> {
        match (action, protocol) {
            (Action::Statement { sql, params }, Protocol::Simple) if params.is_empty() => self.ask(&query(sql)).await,
            (Action::Statement { sql, params }, Protocol::Simple) => {
                let mut all = Vec::new();
                for list in params {
                    all.extend(self.ask(&query(&with_literals(sql, list))).await);
                }
                all
            }
            (Action::Statement { sql, params }, Protocol::Extended) => self.prepared(sql, params).await,
            (Action::Script(sql), _) => self.ask(&query(sql)).await,
            (Action::CopyIn { sql, data }, _) => {
                // In two parts, so that the boundary between messages is inside a row.
                let (one, two) = data.as_bytes().split_at(data.len() / 2);
                self.copy_in(sql, &[one, two], protocol).await
            }
            (Action::CopyThrough { from, into }, _) => {
                let mut all = self.ask(&query(from)).await;
                let data: Vec<u8> =
                    all.iter().filter(|(tag, _)| *tag == b'd').flat_map(|(_, data)| data.clone()).collect();
                all.extend(self.copy_in(into, &[&data], protocol).await);
                all
            }
            (Action::Notifications(wanted), _) => self.notifications(*wanted).await,
        }
    }

    /// Sends bytes and takes what comes up to `ReadyForQuery`; notifications are kept for whoever waits for them.
    async fn ask(&mut self, bytes: &[u8]) -> Vec<Message> {
        self.socket.send(bytes).await;
        let (heard, rest) = self.socket.until_ready().await.into_iter().partition(|(tag, _)| *tag == b'A');
        self.heard.extend::<Vec<Message>>(heard);
        rest
    }

    /// One named statement, described and run once for each list of parameters.
    async fn prepared(&mut self, sql: &str, params: &[Vec<Option<String>>]) -> Vec<Message> {
        let name = if params.is_empty() { "" } else { "again" };
        let mut all = Vec::new();
        if params.is_empty() {
            let bytes =
                [parse(name, sql), describe(b'S', name), bind(name, &[]), describe(b'P', ""), execute(), sync()];
            all.extend(self.ask(&bytes.concat()).await);
        } else {
            all.extend(self.ask(&[parse(name, sql), describe(b'S', name), sync()].concat()).await);
            for list in params {
                let bytes = [bind(name, list), describe(b'P', ""), execute(), sync()];
                all.extend(self.ask(&bytes.concat()).await);
            }
            all.extend(self.ask(&[message(b'C', b"Sagain\0"), sync()].concat()).await);
        }
        all
    }

    async fn copy_in(&mut self, sql: &str, data: &[&[u8]], protocol: Protocol) -> Vec<Message> {
        let start = match protocol {
            Protocol::Simple => query(sql),
            Protocol::Extended => [parse("", sql), bind("", &[]), execute(), message(b'H', &[])].concat(),
        };
        self.socket.send(&start).await;
        let mut all = Vec::new();
        loop {
            let (tag, body) = self.socket.hear().await.expect("an answer");
            all.push((tag, body));
            match tag {
                b'G' => {
                    for part in data {
                        self.socket.send(&message(b'd', part)).await;
                    }
                    self.socket.send(&message(b'c', &[])).await;
                    break;
                }
                b'E' => break,
                b'Z' => return all,
                _ => {}
            }
        }
        let end = if protocol == Protocol::Extended { sync() } else { Vec::new() };
        all.extend(self.ask(&end).await);
        all
    }

    async fn notifications(&mut self, wanted: usize) -> Vec<Message> {
        let until = Instant::now() + PATIENCE;
        while self.heard.len() < wanted && Instant::now() < until {
            self.ask(&query("")).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // One that should not come would be here by the next answer.
        self.ask(&query("")).await;
        std::mem::take(&mut self.heard)
    }
}

fn describe(kind: u8, name: &str) -> Vec<u8> {
    message(b'D', format!("{}{name}\0", char::from(kind)).as_bytes())
}

/// Binds to the unnamed portal; parameters and results as text.
fn bind(statement: &str, params: &[Option<String>]) -> Vec<u8> {
    let mut body = format!("\0{statement}\0\0\0").into_bytes();
    body.extend(u16::try_from(params.len()).expect("few parameters").to_be_bytes());
    for param in params {
        match param {
            Some(text) => {
                body.extend(u32::try_from(text.len()).expect("a short text").to_be_bytes());
                body.extend(text.as_bytes());
            }
            None => body.extend((-1_i32).to_be_bytes()),
        }
    }
    body.extend([0, 0]);
    message(b'B', &body)
}

fn execute() -> Vec<u8> {
    crate::socket::execute("", 0)
}

/// The simple protocol has no parameters; a client that uses it writes them into the text.
fn with_literals(sql: &str, params: &[Option<String>]) -> String {
    let mut sql = sql.to_owned();
    for (at, param) in params.iter().enumerate().rev() {
        let literal = param.as_ref().map_or("NULL".to_owned(), |text| format!("'{}'", text.replace('\'', "''")));
        sql = sql.replace(&format!("${}", at + 1), &literal);
    }
    sql
}
