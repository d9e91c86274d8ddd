//! A client that says exactly the bytes it is told to, for what no driver would do (PostgreSQL manual, chapter 55).

use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::bed::{Bed, dsn};

/// How long an answer may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const SSL_REQUEST: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 47];
pub(crate) const GSSENC_REQUEST: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 48];

/// A tag and a body.
pub(crate) type Message = (u8, Vec<u8>);

/// What a connection may go through.
pub(crate) trait Line: AsyncRead + AsyncWrite + Unpin + Send {}

impl<L: AsyncRead + AsyncWrite + Unpin + Send> Line for L {}

/// A connection to the gateway.
pub(crate) struct Socket {
    stream: Box<dyn Line>,
    held: BytesMut,
}

/// A tenant's credentials, taken from the connection string that it was given.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) key: String,
    pub(crate) app: String,
}

impl Login {
    pub(crate) fn of(made: &Value) -> Self {
        let config: tokio_postgres::Config = dsn(made).parse().expect("a connection string");
        Self {
            user: config.get_user().expect("a user").to_owned(),
            key: String::from_utf8(config.get_password().expect("a password").to_vec()).expect("text"),
            app: config.get_dbname().expect("a database").to_owned(),
        }
    }

    /// A tenant's id as it stands in the names of its roles.
    pub(crate) fn hex(made: &Value) -> String {
        made["id"].as_str().expect("an id").replace('-', "")
    }

    /// The start of a session with further parameters.
    pub(crate) fn startup(&self, further: &[(&str, &str)]) -> Vec<u8> {
        let own = [("user", self.user.as_str()), ("database", &self.app)];
        startup(0x0003_0000, own.into_iter().chain(further.iter().copied()))
    }
}

impl Socket {
    pub(crate) async fn open(bed: &Bed) -> Self {
        Self::dial(bed.gateway_port).await
    }

    /// A connection to whoever listens there on loopback.
    pub(crate) async fn dial(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("somebody listens");
        Self::over(stream)
    }

    /// A connection to the gateway from an address of this machine.
    pub(crate) async fn from(address: &str, bed: &Bed) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(format!("{address}:0").parse().expect("an address")).expect("an address of this machine");
        let gateway = format!("127.0.0.1:{}", bed.gateway_port).parse().expect("an address");
        Self::over(socket.connect(gateway).await.expect("the gateway listens"))
    }

    /// A connection that has been made already.
    pub(crate) fn over(stream: impl Line + 'static) -> Self {
        Self { stream: Box::new(stream), held: BytesMut::new() }
    }

    /// A session that is ready for its first query.
    pub(crate) async fn enter(bed: &Bed, made: &Value) -> Self {
        let mut socket = Self::open(bed).await;
        let login = Login::of(made);
        socket.send(&login.startup(&[])).await;
        socket.prove(&login.key).await.expect("the key is right");
        socket
    }

    /// Runs SCRAM and waits until the session is ready; gives back what was said along with it, or the SQLSTATE of the
    /// refusal.
    pub(crate) async fn prove(&mut self, key: &str) -> Result<Vec<Message>, String> {
        self.prove_bound(key, "SCRAM-SHA-256", ChannelBinding::unsupported()).await
    }

    /// The same by a mechanism, bound to a channel.
    pub(crate) async fn prove_bound(
        &mut self,
        key: &str,
        mechanism: &str,
        binding: ChannelBinding,
    ) -> Result<Vec<Message>, String> {
        let mut scram = ScramSha256::new(key.as_bytes(), binding);
        let mut heard = Vec::new();
        loop {
            let (tag, body) = self.hear().await.expect("an answer");
            match (tag, body.get(..4)) {
                (b'R', Some([0, 0, 0, 10])) => self.send(&sasl_first(mechanism, scram.message())).await,
                (b'R', Some([0, 0, 0, 11])) => {
                    scram.update(&body[4..]).expect("a challenge");
                    self.send(&message(b'p', scram.message())).await;
                }
                (b'R', Some([0, 0, 0, 12])) => scram.finish(&body[4..]).expect("the gateway knows the key, too"),
                (b'E', _) => return Err(sqlstate_of(&body)),
                (b'Z', _) => return Ok(heard),
                _ => heard.push((tag, body)),
            }
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("sent");
    }

    /// Sends to somebody who may have stopped listening.
    pub(crate) async fn send_anyway(&mut self, bytes: &[u8]) {
        let _nobody_may_be_there = self.stream.write_all(bytes).await;
    }

    pub(crate) async fn query(&mut self, sql: &str) -> Vec<Message> {
        self.send(&query(sql)).await;
        self.until_ready().await
    }

    /// One byte, which is how requests for encryption are answered.
    pub(crate) async fn hear_byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        timeout(PATIENCE, self.stream.read_exact(&mut byte)).await.expect("an answer in time").ok().map(|_| byte[0])
    }

    /// The next message; `None` when the gateway has closed the connection.
    pub(crate) async fn hear(&mut self) -> Option<Message> {
        loop {
            if let Some((&[tag, a, b, c, d], rest)) = self.held.split_first_chunk::<5>() {
                let length = u32::from_be_bytes([a, b, c, d]) as usize - 4;
                if rest.len() >= length {
                    let mut message = self.held.split_to(5 + length);
                    return Some((tag, message.split_off(5).to_vec()));
                }
            }
            match timeout(PATIENCE, self.stream.read_buf(&mut self.held)).await.expect("an answer in time") {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Everything up to and with the next `ReadyForQuery`.
    pub(crate) async fn until_ready(&mut self) -> Vec<Message> {
        let mut heard = Vec::new();
        loop {
            let message = self.hear().await.unwrap_or_else(|| panic!("closed after {:?}", tags(&heard)));
            let ready = message.0 == b'Z';
            heard.push(message);
            if ready {
                return heard;
            }
        }
    }

    /// Everything until the gateway closes the connection.
    pub(crate) async fn until_closed(&mut self) -> Vec<Message> {
        let mut heard = Vec::new();
        while let Some(message) = self.hear().await {
            heard.push(message);
        }
        heard
    }

    /// The SQLSTATE of the gateway's last word.
    pub(crate) async fn last_words(&mut self) -> String {
        let heard = self.until_closed().await;
        heard
            .iter()
            .rev()
            .find(|(tag, _)| *tag == b'E')
            .map_or_else(|| format!("closed without an error, after {:?}", tags(&heard)), |(_, body)| sqlstate_of(body))
    }
}

/// A message with a tag.
pub(crate) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("a short message");
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

pub(crate) fn query(sql: &str) -> Vec<u8> {
    message(b'Q', format!("{sql}\0").as_bytes())
}

pub(crate) fn parse(name: &str, sql: &str) -> Vec<u8> {
    message(b'P', format!("{name}\0{sql}\0\0\0").as_bytes())
}

/// Binds a statement without parameters to a portal, its results as text.
pub(crate) fn bind(portal: &str, statement: &str) -> Vec<u8> {
    message(b'B', format!("{portal}\0{statement}\0\0\0\0\0\0\0").as_bytes())
}

pub(crate) fn execute(portal: &str, rows: u32) -> Vec<u8> {
    message(b'E', &[portal.as_bytes(), &[0], &rows.to_be_bytes()].concat())
}

pub(crate) fn sync() -> Vec<u8> {
    message(b'S', &[])
}

/// The start of a session in a version of the protocol.
pub(crate) fn startup<'p>(version: u32, parameters: impl IntoIterator<Item = (&'p str, &'p str)>) -> Vec<u8> {
    let mut body = BytesMut::new();
    body.put_u32(version);
    for (name, value) in parameters {
        for text in [name, value] {
            body.put_slice(text.as_bytes());
            body.put_u8(0);
        }
    }
    body.put_u8(0);
    let length = u32::try_from(body.len() + 4).expect("a short message");
    [&length.to_be_bytes()[..], &body].concat()
}

/// The first message of a SASL exchange.
pub(crate) fn sasl_first(mechanism: &str, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("a short message");
    message(b'p', &[mechanism.as_bytes(), &[0], &length.to_be_bytes(), data].concat())
}

pub(crate) fn tags(messages: &[Message]) -> String {
    messages.iter().map(|(tag, _)| char::from(*tag)).collect()
}

/// The SQLSTATEs of the errors among messages.
pub(crate) fn errors(messages: &[Message]) -> Vec<String> {
    messages.iter().filter(|(tag, _)| *tag == b'E').map(|(_, body)| sqlstate_of(body)).collect()
}

/// The values of the rows among messages, as text, joined with commas.
pub(crate) fn values(messages: &[Message]) -> Vec<String> {
    messages.iter().filter(|(tag, _)| *tag == b'D').map(|(_, body)| values_of(body)).collect()
}

fn values_of(row: &[u8]) -> String {
    let (_count, mut rest) = row.split_at(2);
    let mut values = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
        values.push(String::from_utf8_lossy(&after[..length]).into_owned());
        rest = &after[length..];
    }
    values.join(",")
}

fn sqlstate_of(error: &[u8]) -> String {
    let field = error.split(|&byte| byte == 0).find_map(|field| field.strip_prefix(b"C"));
    String::from_utf8_lossy(field.expect("an error has a code")).into_owned()
}
