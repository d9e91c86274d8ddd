//! The console: the database `sindico` on the gateway's own port, where an operator sees and steers what goes on.
//!
//! Simple and extended protocol are answered, as far as statements without parameters need it (PostgreSQL manual, 55.2.2 and
//! 55.2.3), so that psql and the usual drivers work.

mod answer;
mod pause;
mod view;
mod words;

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use domain::{AppName, TenantId};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use uuid::Uuid;
use wire::backend::{self, TransactionStatus};
use wire::frame::{HEADER_LEN, Header};
use wire::report::{Report, Severity};
use wire::results;
use wire::scram::Verifier;
use wire::startup::SHORT_SECRET_LEN;

use self::answer::answer;
pub(crate) use self::pause::Paused;
pub use self::view::ConfigEntry;
use self::words::{Command, Misspoken, read};
use crate::client::{Client, Loss};
use crate::fault::Fault;
use crate::login::prove;
use crate::serve::Gateway;
use crate::throttle::Throttle;

/// The one user of the console.
const USER: &str = "admin";

/// Consoles at once. They take no client's place, so that an operator gets in when the house is full.
const CONSOLES: usize = 8;

/// How long it may take an operator to be told that the console ends.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Bytes of the longest message to the console.
const LONGEST: usize = 64 * 1024;

/// Prepared statements and portals of one console.
const NAMES: usize = 64;

/// What a driver wants to know of a server before it says anything. The version is that of the protocol's time.
const REPORTED: [(&str, &str); 7] = [
    ("server_version", "15.0"),
    ("server_encoding", "UTF8"),
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, MDY"),
    ("TimeZone", "UTC"),
    ("integer_datetimes", "on"),
    ("standard_conforming_strings", "on"),
];

/// Reads the configuration again, and says what is another than before or what is wrong with it.
pub type Reload = Arc<dyn Fn() -> Result<Vec<ReloadChange>, String> + Send + Sync>;

/// A setting that is another than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReloadChange {
    /// Its name, as in the configuration file.
    pub key: String,
    /// Its new value.
    pub value: String,
    /// Whether it is in force already, or will be after a restart.
    pub in_force: bool,
}

/// Tells the settings in force.
pub type Settings = Arc<dyn Fn() -> Vec<ConfigEntry> + Send + Sync>;

/// Who gets into the console, and what it asks of the process around the gateway. Cheap to clone.
#[derive(Clone)]
pub struct Console {
    verifier: Arc<Verifier>,
    reload: Reload,
    settings: Settings,
    places: Arc<Semaphore>,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").finish_non_exhaustive()
    }
}

impl Console {
    /// A console for whoever knows the admin token, of which only a verifier is kept. `None` if the system gives no random
    /// bytes for its salt.
    #[must_use]
    pub fn new(admin_token: &str, reload: Reload, settings: Settings) -> Option<Self> {
        let mut salt = [0; 16];
        aws_lc_rs::rand::fill(&mut salt).ok()?;
        let verifier = Arc::new(Verifier::derive(admin_token, &salt, ITERATIONS));
        Some(Self { verifier, reload, settings, places: Arc::new(Semaphore::new(CONSOLES)) })
    }

    /// Whether a client means the console.
    pub(crate) fn is_meant(database: &str) -> bool {
        database == AppName::CONSOLE
    }

    /// Has a client prove that it is an operator. From another machine it needs TLS, whoever else does not.
    pub(crate) async fn log_in(
        &self,
        throttle: &Throttle,
        client: &mut Client,
        peer: SocketAddr,
        user: &str,
    ) -> Result<(), Loss> {
        if client.encryption.is_none() && !peer.ip().is_loopback() {
            let hint = "Connect with sslmode=require, or from this machine.";
            return Err(Fault::new("28000", "the console is reached by TLS", hint).into());
        }
        let nobody = TenantId::from_uuid(Uuid::nil());
        let attempt = throttle.attempt(peer.ip(), nobody, Instant::now())?;
        // Whoever gives another name learns no more than whoever gives another password.
        let proven =
            prove(client, self.verifier.salt(), self.verifier.iterations(), &[&self.verifier], attempt).await?;
        if proven.is_none() || user != USER {
            let message = "password authentication failed for the console";
            let hint = "The user is admin, the password the admin token, the database sindico.";
            return Err(Fault::new("28P01", message, hint).into());
        }
        Ok(())
    }
}

/// Rounds of PBKDF2 that a guess at the token costs, as PostgreSQL has it. The token itself is random.
const ITERATIONS: u32 = 4096;

/// One operator at the console.
struct Talk<'g> {
    gateway: &'g Gateway,
    console: &'g Console,
    statements: HashMap<String, String>,
    portals: HashMap<String, String>,
    status: TransactionStatus,
    /// A message of the extended protocol has failed: what comes up to the next Sync is not looked at.
    skipping: bool,
}

/// An error that the console goes on after.
#[derive(Debug)]
pub(super) struct Refused {
    sqlstate: &'static str,
    message: String,
    hint: &'static str,
}

impl Refused {
    fn new(sqlstate: &'static str, message: impl Into<String>, hint: &'static str) -> Self {
        Self { sqlstate, message: message.into(), hint }
    }
}

impl From<Misspoken> for Refused {
    fn from(misspoken: Misspoken) -> Self {
        Self::new("42601", misspoken.to_string(), Misspoken::HINT)
    }
}

/// Answers an operator who is in, until it leaves or síndico stops.
pub(crate) async fn converse(gateway: &Gateway, console: &Console, client: &mut Client) {
    if let Err(Loss::Told(fault)) = talk(gateway, console, client).await {
        client.out.clear();
        fault.write(&mut client.out);
        let _unless_it_has_gone = timeout(LAST_WORDS, client.flush()).await;
    }
}

async fn talk(gateway: &Gateway, console: &Console, client: &mut Client) -> Result<(), Loss> {
    let _place = console.places.try_acquire().map_err(|_| {
        Fault::new("53300", "as many consoles are open as there may be", "Close one of them, or end what uses them.")
    })?;
    backend::authentication_ok(&mut client.out);
    for (name, value) in REPORTED {
        backend::parameter_status(&mut client.out, name, value);
    }
    backend::backend_key_data(&mut client.out, gateway.cancels.register(SHORT_SECRET_LEN)?.key());
    backend::ready_for_query(&mut client.out, TransactionStatus::Idle);
    client.flush().await?;
    let mut talk = Talk {
        gateway,
        console,
        statements: HashMap::new(),
        portals: HashMap::new(),
        status: TransactionStatus::Idle,
        skipping: false,
    };
    loop {
        let (header, message) = tokio::select! {
            message = client.message(LONGEST) => message?,
            () = gateway.shutdown.cancelled() => return Err(Fault::shutdown().into()),
        };
        if header.tag == b'X' {
            return Ok(());
        }
        let flushes = matches!(header.tag, b'Q' | b'S' | b'H');
        talk.hear(header, message.get(HEADER_LEN..).unwrap_or_default(), &mut client.out).await?;
        if flushes {
            client.flush().await?;
        }
    }
}

impl Talk<'_> {
    async fn hear(&mut self, header: Header, body: &[u8], out: &mut BytesMut) -> Result<(), Fault> {
        match header.tag {
            b'Q' => {
                let text = string(body).unwrap_or_default().0;
                if let Err(refused) = self.query(text, out).await {
                    refused.write(out);
                }
                backend::ready_for_query(out, self.status);
            }
            b'S' => {
                self.skipping = false;
                self.portals.clear();
                backend::ready_for_query(out, self.status);
            }
            b'H' => {}
            _ if self.skipping => {}
            b'P' | b'B' | b'D' | b'E' | b'C' => {
                if let Err(refused) = self.extended(header.tag, body, out).await {
                    self.skipping = true;
                    refused.write(out);
                }
            }
            _ => return Err(Fault::protocol("the console does not understand this message")),
        }
        Ok(())
    }

    /// All commands of a text, until one fails.
    async fn query(&mut self, text: &str, out: &mut BytesMut) -> Result<(), Refused> {
        let mut any = false;
        for text in text.split(';') {
            let Some(command) = read(text)? else { continue };
            any = true;
            if let Some(columns) = command.columns() {
                results::row_description(out, columns);
            }
            self.run(command, out).await?;
        }
        if !any {
            results::empty_query(out);
        }
        Ok(())
    }

    async fn extended(&mut self, tag: u8, body: &[u8], out: &mut BytesMut) -> Result<(), Refused> {
        let malformed = || Refused::new("08P01", "the message is malformed", "Its driver is at fault.");
        match tag {
            b'P' => {
                let (name, rest) = string(body).ok_or_else(malformed)?;
                let (text, _types) = string(rest).ok_or_else(malformed)?;
                command(text)?;
                keep(&mut self.statements, name, text)?;
                results::parse_complete(out);
            }
            b'B' => {
                let (portal, rest) = string(body).ok_or_else(malformed)?;
                let (name, _values) = string(rest).ok_or_else(malformed)?;
                let text = known(&self.statements, name)?.to_owned();
                keep(&mut self.portals, portal, &text)?;
                results::bind_complete(out);
            }
            b'D' | b'C' => {
                let (kind, rest) = body.split_first().ok_or_else(malformed)?;
                let (name, _) = string(rest).ok_or_else(malformed)?;
                let names = if *kind == b'S' { &mut self.statements } else { &mut self.portals };
                if tag == b'C' {
                    names.remove(name);
                    results::close_complete(out);
                    return Ok(());
                }
                let described = command(known(names, name)?)?;
                if *kind == b'S' {
                    results::no_parameters(out);
                }
                match described.as_ref().and_then(Command::columns) {
                    Some(columns) => results::row_description(out, columns),
                    None => results::no_data(out),
                }
            }
            _ => {
                let (portal, _limit) = string(body).ok_or_else(malformed)?;
                match command(known(&self.portals, portal)?)? {
                    Some(command) => self.run(command, out).await?,
                    None => results::empty_query(out),
                }
            }
        }
        Ok(())
    }

    async fn run(&mut self, command: Command, out: &mut BytesMut) -> Result<(), Refused> {
        match command {
            Command::Courtesy("BEGIN") => self.status = TransactionStatus::Open,
            Command::Courtesy("COMMIT" | "ROLLBACK") => self.status = TransactionStatus::Idle,
            _ => {}
        }
        answer(self.gateway, self.console, command, out).await
    }
}

impl Refused {
    fn write(&self, out: &mut BytesMut) {
        let Self { sqlstate, message, hint } = self;
        Report { severity: Severity::Error, sqlstate, message, hint }.write(out);
    }
}

/// The one command of a statement that is prepared.
fn command(text: &str) -> Result<Option<Command>, Refused> {
    Ok(read(text.trim().trim_end_matches(';'))?)
}

fn keep(names: &mut HashMap<String, String>, name: &str, text: &str) -> Result<(), Refused> {
    if names.len() >= NAMES && !names.contains_key(name) {
        return Err(Refused::new("54000", "the console keeps no more names than these", "Close those not in use."));
    }
    names.insert(name.to_owned(), text.to_owned());
    Ok(())
}

fn known<'n>(names: &'n HashMap<String, String>, name: &str) -> Result<&'n str, Refused> {
    let unknown = || Refused::new("26000", format!("nothing is prepared under the name {name:?}"), "Prepare it first.");
    names.get(name).map(String::as_str).ok_or_else(unknown)
}

/// A string and what stands behind it.
fn string(body: &[u8]) -> Option<(&str, &[u8])> {
    let end = body.iter().position(|&byte| byte == 0)?;
    Some((str::from_utf8(body.get(..end)?).ok()?, body.get(end + 1..)?))
}
