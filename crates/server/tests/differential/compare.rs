//! Plays a session everywhere and tells what differs.

use std::fmt::Write;

use futures_util::future::join_all;

use crate::door::Door;
use crate::play::{Protocol, play};
use crate::session::{Action, Session, Step};

/// Plays a session behind all doors at once, the reference being the first; what differs, ready to be read.
pub(crate) async fn differences(session: &Session, doors: &[Door], protocol: Protocol) -> Vec<String> {
    let transcripts = join_all(doors.iter().map(|door| play(session, door, protocol))).await;
    let (reference, others) = transcripts.split_first().expect("a reference");
    let mut found = Vec::new();
    for (door, transcript) in doors[1..].iter().zip(others) {
        for ((step, expected), got) in session.steps.iter().zip(reference).zip(transcript) {
            let known = step.differs.as_ref().filter(|(isolations, _)| isolations.contains(&door.name));
            match (known, expected == got) {
                (None, true) | (Some(_), false) => {}
                (None, false) => found.push(told(session, step, door, protocol, expected, got)),
                (Some((_, why)), true) => found.push(format!(
                    "{}:{} is said to differ in {} ({why}) and does not",
                    session.file, step.line, door.name
                )),
            }
        }
    }
    found
}

fn told(
    session: &Session,
    step: &Step,
    door: &Door,
    protocol: Protocol,
    expected: &[String],
    got: &[String],
) -> String {
    let mut out = format!("{}:{} in {}, {protocol:?} protocol\n", session.file, step.line, door.name);
    let sql = match &step.action {
        Action::Statement { sql, .. } | Action::Script(sql) | Action::CopyIn { sql, .. } => sql.clone(),
        Action::CopyThrough { from, into } => format!("{from}; {into}"),
        Action::Notifications(wanted) => format!("{wanted} notifications"),
    };
    let _infallible = writeln!(out, "    {}", sql.trim_end().replace('\n', "\n    "));
    for line in lines(expected, got) {
        let _infallible = writeln!(out, "  {line}");
    }
    out
}

/// The lines of both, `-` for what only the reference says and `+` for what only the other does.
fn lines(expected: &[String], got: &[String]) -> Vec<String> {
    // Lengths of the longest common subsequences of what follows.
    let mut common = vec![vec![0_usize; got.len() + 1]; expected.len() + 1];
    for (i, left) in expected.iter().enumerate().rev() {
        for (j, right) in got.iter().enumerate().rev() {
            common[i][j] =
                if left == right { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    loop {
        match (expected.get(i), got.get(j)) {
            (None, None) => return lines,
            (Some(left), Some(right)) if left == right => {
                lines.push(format!("  {left}"));
                (i, j) = (i + 1, j + 1);
            }
            (Some(left), right) if right.is_none() || common[i + 1][j] >= common[i][j + 1] => {
                lines.push(format!("- {left}"));
                i += 1;
            }
            (_, Some(right)) => {
                lines.push(format!("+ {right}"));
                j += 1;
            }
            (Some(_), None) => unreachable!("the arm before takes it"),
        }
    }
}

#[test]
fn a_difference_is_shown_line_by_line() {
    let texts = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    let shown =
        lines(&texts(&["columns a", "row 1", "row 2", "done"]), &texts(&["columns a", "row 2", "row 3", "done"]));
    assert_eq!(shown, ["  columns a", "- row 1", "  row 2", "+ row 3", "  done"]);
}
