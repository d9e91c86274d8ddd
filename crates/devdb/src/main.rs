//! Runs commands that need PostgreSQL, such as the tests, with clusters that exist only for them.

use std::{
    ffi::OsString,
    io::IsTerminal,
    path::PathBuf,
    process::{ExitCode, ExitStatus},
};

use anyhow::Context;
use clap::{Parser, Subcommand};
use devdb::{Cluster, ClusterConfig, PortChoice, Programs, Scratch};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::Command,
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};

/// Private PostgreSQL clusters for development.
#[derive(Parser)]
#[command(name = "devdb")]
struct Arguments {
    #[command(subcommand)]
    command: Order,
}

#[derive(Subcommand)]
enum Order {
    /// Runs a command with temporary clusters, whose superuser DSNs are in `SINDICO_TEST_DSN_1`, `_2` and so on.
    Run {
        /// How many clusters.
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
        clusters: u8,
        /// A setting of PostgreSQL for these clusters, over those that they have; may be given several times.
        #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
        set: Vec<(String, String)>,
        /// The command and its arguments.
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Runs one lasting cluster until interrupted, and prints its process and its DSN.
    Keep {
        /// Where the cluster lives.
        dir: PathBuf,
        /// The port on 127.0.0.1; any free one, preferably the last, when left out.
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
        port: Option<u16>,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match Arguments::parse().command {
        Order::Run { clusters, set, command } => run(clusters, set, &command).await,
        Order::Keep { dir, port } => keep(dir, port).await,
    }
}

fn setting(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("write it as name=value, such as max_connections=1200")?;
    Ok((name.to_owned(), value.to_owned()))
}

async fn run(clusters: u8, settings: Vec<(String, String)>, command: &[OsString]) -> anyhow::Result<ExitCode> {
    let (program, arguments) = command.split_first().context("no command given; write it after `--`")?;
    // From here on a signal no longer kills us before we have cleaned up.
    let mut signals = Signals::new()?;
    let scratches = tokio::select! {
        started = start(clusters, settings) => started?,
        signal = signals.next() => return Ok(ended_by(signal as i32)),
    };

    let mut child = Command::new(program);
    child.args(arguments);
    for (number, scratch) in (1..).zip(&scratches) {
        child.env(format!("SINDICO_TEST_DSN_{number}"), scratch.dsn("postgres"));
    }
    let name = program.to_string_lossy();
    let mut child = child.spawn().with_context(|| format!("cannot run `{name}`; check its name and PATH"))?;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            signal = signals.next() => forward(signal, child.id())?,
        }
    };

    for scratch in scratches {
        scratch.stop().await?;
    }
    Ok(exit_code(status))
}

/// Starts the clusters at the same time. Dropped halfway, it stops and removes what it has started.
async fn start(clusters: u8, settings: Vec<(String, String)>) -> anyhow::Result<Vec<Scratch>> {
    Scratch::sweep()?;
    let programs = Programs::find()?;
    let mut starts = JoinSet::new();
    for _ in 0..clusters {
        let (programs, settings) = (programs.clone(), settings.clone());
        starts.spawn(async move {
            let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            Scratch::start_with(&programs, &settings).await
        });
    }
    let mut scratches = Vec::new();
    while let Some(started) = starts.join_next().await {
        scratches.push(started??);
    }
    Ok(scratches)
}

async fn keep(dir: PathBuf, port: Option<u16>) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new()?;
    let mut config = ClusterConfig::new(dir);
    config.port = port.map_or(PortChoice::Any, PortChoice::Fixed);
    let cluster = Cluster::start(&Programs::find()?, config).await?;
    announce(&cluster);
    tokio::select! {
        _ = signals.next() => cluster.stop().await?,
        death = cluster.died() => return Err(death.into()),
    }
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "the answer of a command on the terminal, for people and scripts to read")]
fn announce(cluster: &Cluster) {
    println!("{} {}", cluster.pid(), cluster.dsn("postgres"));
}

/// The signals that ask us to end.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::SIGINT,
            _ = self.terminate.recv() => Signal::SIGTERM,
        }
    }
}

/// Passes a signal on to the command, which then decides when we end. Ctrl-C on a terminal has reached it already,
/// and many programs take a second one for impatience.
fn forward(signal: Signal, child: Option<u32>) -> anyhow::Result<()> {
    let from_terminal = signal == Signal::SIGINT && std::io::stdin().is_terminal();
    if let (Some(pid), false) = (child, from_terminal) {
        kill(Pid::from_raw(pid.try_into()?), signal).context("cannot pass the signal on to the command")?;
    }
    Ok(())
}

/// The command's own code, or what tells the signal that ended it.
fn exit_code(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt;

    match (status.code(), status.signal()) {
        (Some(code), _) => ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)),
        (None, signal) => ended_by(signal.unwrap_or_default()),
    }
}

/// 128 and the signal's number, as shells do.
fn ended_by(signal: i32) -> ExitCode {
    ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX))
}
