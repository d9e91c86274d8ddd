//! A client that says exactly what it is told to and keeps every byte of the answers (PostgreSQL manual, chapter 55).

use std::io;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use catalog::TokenKey;
use domain::TenantId;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use tls::{Address, Socket, Stream, Trust};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use wire::{frontend, scram, startup};

use crate::heard::{Heard, Message};

/// How long an answer may take. Nothing that an attack asks for takes a second by itself.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);

/// Most bytes of one message that are believed; the largest honest one is far below.
const MAX_MESSAGE: usize = 64 << 20;

/// How to get in: where, as whom, with what.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// What is asked of whoever answers there.
    pub(crate) trust: Trust,
    /// Startup parameters.
    pub(crate) parameters: Vec<(&'static str, String)>,
    pub(crate) password: String,
    /// What proves the tenant on a login that it shares with others.
    pub(crate) token: Option<(TokenKey, TenantId)>,
}

/// A connection.
pub(crate) struct Client {
    stream: Stream,
    held: BytesMut,
}

impl Client {
    /// Connects, and says nothing yet but what encryption takes.
    pub(crate) async fn open(host: &str, port: u16, trust: &Trust) -> io::Result<Self> {
        let opening = async {
            let (_, socket) = Address::find(host, port).await?;
            if let Socket::Tcp(socket) = &socket {
                socket.set_nodelay(true)?;
            }
            trust.secure(socket, host).await
        };
        let stream = timeout(PATIENCE, opening).await.map_err(|_| slow())??;
        Ok(Self { stream, held: BytesMut::new() })
    }

    /// Connects and logs in. What was said in refusal comes back as the error of an answer.
    pub(crate) async fn enter(entry: &Entry) -> io::Result<Result<Self, Heard>> {
        let mut client = Self::open(&entry.host, entry.port, &entry.trust).await?;
        let mut out = BytesMut::new();
        startup::session(&mut out, entry.parameters.iter().map(|(name, value)| (*name, value.as_str())));
        client.send(&out).await?;
        let mut scram = ScramSha256::new(entry.password.as_bytes(), ChannelBinding::unsupported());
        let mut heard = Heard::default();
        let mut pid = 0;
        loop {
            out.clear();
            let Some(message) = client.hear().await? else {
                heard.closed = true;
                return Ok(Err(heard));
            };
            let mut body = message.body.as_slice();
            match (message.tag, body.try_get_u32().ok()) {
                (b'R', Some(10)) => frontend::sasl_initial_response(&mut out, scram::MECHANISM, scram.message()),
                (b'R', Some(11)) => {
                    scram.update(body)?;
                    frontend::sasl_response(&mut out, scram.message());
                }
                (b'R', Some(12)) => scram.finish(body)?,
                (b'K', Some(process)) => pid = process,
                (b'R', Some(0)) | (b'S' | b'N', _) => {}
                (b'Z', _) => return Ok(client.prove(entry, pid).await?.map_or(Ok(client), Err)),
                (b'E', _) => {
                    heard.messages.push(message);
                    return Ok(Err(heard));
                }
                _ => {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "the server asks for another kind of login",
                    ));
                }
            }
            client.send(&out).await?;
        }
    }

    /// Proves the tenant on a login that serves many; what was said against it comes back.
    async fn prove(&mut self, entry: &Entry, pid: u32) -> io::Result<Option<Heard>> {
        let Some((key, tenant)) = &entry.token else { return Ok(None) };
        let now = self.query("SELECT extract(epoch FROM clock_timestamp())::bigint").await?.rows();
        let now = now.parse().map_err(|_| io::Error::other("the server does not tell the time"))?;
        let token = key.issue(*tenant, pid, now).map_err(io::Error::other)?;
        let heard = self.query(&format!("SELECT sindico.enter('{token}', false)")).await?;
        Ok((heard.rows() != "t").then_some(heard))
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(PATIENCE, self.stream.write_all(bytes)).await.map_err(|_| slow())?
    }

    /// A simple query and all that is said to it. A connection that ends is part of the answer.
    pub(crate) async fn query(&mut self, sql: &str) -> io::Result<Heard> {
        let mut out = BytesMut::new();
        frontend::query(&mut out, sql);
        self.exchange(&out).await
    }

    /// The same statement in the extended protocol: parsed, bound without parameters, described and executed.
    pub(crate) async fn extended(&mut self, sql: &str) -> io::Result<Heard> {
        let mut out = BytesMut::new();
        frontend::parse(&mut out, sql);
        out.extend_from_slice(b"B\0\0\0\x0c\0\0\0\0\0\0\0\0D\0\0\0\x06P\0E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04");
        self.exchange(&out).await
    }

    /// Sends bytes and listens until the server is ready for more.
    pub(crate) async fn exchange(&mut self, bytes: &[u8]) -> io::Result<Heard> {
        // A server that has hung up cannot be written to, and may have said why.
        let _read_on = self.send(bytes).await;
        self.listen().await
    }

    /// Everything up to the next time that the server is ready, wants data, or closes the connection.
    pub(crate) async fn listen(&mut self) -> io::Result<Heard> {
        let mut heard = Heard::default();
        loop {
            let Some(message) = self.hear().await? else {
                heard.closed = true;
                return Ok(heard);
            };
            let wants_data = matches!(message.tag, b'G' | b'W');
            heard.idle = message.tag == b'Z' && message.body == b"I";
            let ready = message.tag == b'Z';
            heard.messages.push(message);
            if ready {
                return Ok(heard);
            }
            if wants_data {
                // CopyFail: what matters has been said.
                let mut fail = BytesMut::from(&b"f\0\0\0\x05\0"[..]);
                fail.extend_from_slice(b"S\0\0\0\x04");
                self.send(&fail).await?;
            }
        }
    }

    /// Whatever arrives until nothing has for a while, or until the connection is closed.
    pub(crate) async fn overhear(&mut self, quiet: Duration) -> io::Result<Heard> {
        let mut heard = Heard::default();
        loop {
            // A server that is ready has said what it had to say, unless more was asked behind it.
            let ready = heard.messages.last().is_some_and(|message| message.tag == b'Z');
            match timeout(if ready { quiet / 8 } else { quiet }, self.hear()).await {
                Err(_quiet) => return Ok(heard),
                Ok(Ok(Some(message))) => heard.messages.push(message),
                Ok(Ok(None)) => {
                    heard.closed = true;
                    return Ok(heard);
                }
                Ok(Err(error)) => return Err(error),
            }
        }
    }

    /// Everything until the other side closes, as it is: for what is not PostgreSQL's protocol.
    pub(crate) async fn drain(&mut self) -> io::Result<Vec<u8>> {
        let mut all = self.held.split().to_vec();
        let read = timeout(PATIENCE, async {
            let mut part = [0; 8192];
            loop {
                match self.stream.read(&mut part).await {
                    Ok(0) | Err(_) => return,
                    Ok(length) => all.extend_from_slice(part.get(..length).unwrap_or_default()),
                }
                if all.len() > MAX_MESSAGE {
                    return;
                }
            }
        });
        read.await.map_err(|_| slow())?;
        Ok(all)
    }

    /// The next message; `None` when the other side has closed the connection.
    async fn hear(&mut self) -> io::Result<Option<Message>> {
        loop {
            if let Some((&[tag, length @ ..], rest)) = self.held.split_first_chunk::<5>() {
                let length = u32::from_be_bytes(length) as usize;
                if !(4..=MAX_MESSAGE).contains(&length) {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "a message of an impossible length"));
                }
                if rest.len() >= length - 4 {
                    let mut whole = self.held.split_to(1 + length);
                    whole.advance(5);
                    return Ok(Some(Message { tag, body: whole.to_vec() }));
                }
            }
            match timeout(PATIENCE, self.stream.read_buf(&mut self.held)).await.map_err(|_| slow())? {
                Ok(0) | Err(_) => return Ok(None),
                Ok(_) => {}
            }
        }
    }
}

fn slow() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {PATIENCE:?}"))
}
