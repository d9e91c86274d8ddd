//! The program `devdb`, and the scratch clusters that it and the tests use.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use devdb::Scratch;
use nix::sys::signal::Signal;

use crate::place::{Place, is_running, query, send, wait_until};

fn run(place: &Place, options: &[&str], script: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_devdb"));
    command.env("TMPDIR", place.root()).arg("run").args(options).args(["--", "sh", "-c", script]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

fn is_empty(place: &Place) -> bool {
    fs::read_dir(place.root()).unwrap().count() == 0
}

#[tokio::test]
async fn a_scratch_cluster_vanishes_when_dropped_or_stopped() {
    let scratch = Scratch::start().await.unwrap();
    let pid = scratch.cluster().pid();
    let dsn = scratch.dsn("postgres");
    let data = query(&dsn, "SHOW data_directory").await.unwrap().unwrap();
    assert!(data.contains("sindico-test-"), "{data}");
    assert_eq!(query(&dsn, "SHOW max_connections").await.unwrap().as_deref(), Some("400"));
    drop(scratch);
    assert!(!is_running(pid));
    assert!(!fs::exists(std::path::Path::new(&data).parent().unwrap()).unwrap());

    let scratch = Scratch::start().await.unwrap();
    let pid = scratch.cluster().pid();
    scratch.stop().await.unwrap();
    assert!(!is_running(pid));
}

#[test]
fn run_hands_over_working_clusters_and_the_exit_code() {
    let place = Place::new();
    let script = r#"echo "$SINDICO_TEST_DSN_1"; echo "$SINDICO_TEST_DSN_2"; echo "$SINDICO_TEST_DSN_3"; exit 7"#;
    let output = run(&place, &[], script).output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    let text = String::from_utf8(output.stdout).unwrap();
    let [one, two, three] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert!(one.starts_with("postgresql://sindico:") && one.ends_with("/postgres"), "{one}");
    assert!(two.starts_with("postgresql://sindico:") && two != one, "{two}");
    assert_eq!(three, "");
    assert!(is_empty(&place));
}

#[test]
fn run_passes_signals_on_and_cleans_up_after_the_command() {
    let place = Place::new();
    let script = "trap 'echo asked; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
    let mut child = run(&place, &["--clusters", "1"], script).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    send(child.id(), Signal::SIGTERM);
    assert_eq!(lines.next().unwrap().unwrap(), "asked");
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert!(is_empty(&place));
}

#[test]
fn run_interrupted_while_it_starts_leaves_nothing() {
    let place = Place::new();
    let mut child = run(&place, &[], "true").spawn().unwrap();
    wait_until("a cluster is being made", || !is_empty(&place));
    send(child.id(), Signal::SIGINT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(is_empty(&place));
}

#[test]
fn the_next_run_sweeps_what_a_killed_one_left() {
    let place = Place::new();
    let script = r#"echo "$$"; exec sleep 600"#;
    let mut child = run(&place, &["--clusters", "1"], script).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let command: u32 = line.trim().parse().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    send(command, Signal::SIGKILL);
    let left = fs::read_dir(place.root()).unwrap().next().unwrap().unwrap().path();
    let pid_file = fs::read_to_string(left.join("data/postmaster.pid")).unwrap();
    let server: u32 = pid_file.lines().next().unwrap().parse().unwrap();
    assert!(is_running(server));

    let output = run(&place, &["--clusters", "1"], "true").output().unwrap();
    assert!(output.status.success());
    assert!(!is_running(server));
    assert!(is_empty(&place));
}
