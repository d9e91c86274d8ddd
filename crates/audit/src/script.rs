//! Reading attack files.
//!
//! ```text
//! ## 6 identities                            the family of what follows
//! # SET ROLE to the victim  [shared once]    an attack; in brackets where it applies, and `once` if only as it stands
//! SET ROLE "{role}"                          a line is a step; one that begins with a blank goes on with the step before
//! => 42501                                   what must come of the step before
//! => cluster: 22023 | 42501                  … at a place; the first that covers the place counts
//! @victim TABLE {table}                      a step of somebody else
//! -- why                                     a comment
//! ```
//!
//! After `=>`: a SQLSTATE, `blind`, `done`, `none`, `= rows` (a slash between them), `unmoved`, `closed`, or an HTTP status ([`Accept`]).

use domain::Isolation;

use crate::attack::{Accept, Attack, Deed, Door, Scope, Step, Verdict};

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {reason}")]
pub struct ScriptError {
    file: String,
    line: usize,
    reason: String,
}

/// Reads one file.
pub(crate) fn read(file: &str, text: &str) -> Result<Vec<Attack>, ScriptError> {
    let mut attacks: Vec<Attack> = Vec::new();
    let mut family = None;
    for (index, line) in text.lines().enumerate() {
        let fail = |reason: &str| ScriptError { file: file.to_owned(), line: index + 1, reason: reason.to_owned() };
        if line.trim().is_empty() || line.starts_with("--") {
            continue;
        }
        if let Some(heading) = line.strip_prefix("## ") {
            let number = heading.split(' ').next().and_then(|word| word.parse().ok());
            family = Some(number.ok_or_else(|| fail("a family begins with its number"))?);
            continue;
        }
        if let Some(heading) = line.strip_prefix("# ") {
            let family = family.ok_or_else(|| fail("an attack needs a family above it"))?;
            let source = format!("{file}:{}", index + 1);
            attacks.push(heading_of(family, heading, source).map_err(|reason| fail(&reason))?);
            continue;
        }
        let attack = attacks.last_mut().ok_or_else(|| fail("a step needs an attack above it"))?;
        if let Some(words) = line.strip_prefix("=>") {
            let step = attack.steps.last_mut().ok_or_else(|| fail("a verdict needs a step above it"))?;
            step.verdicts.push(verdict(words.trim()).map_err(|reason| fail(&reason))?);
        } else if line.starts_with(' ') {
            let step = attack.steps.last_mut().ok_or_else(|| fail("there is no step to go on with"))?;
            continued(&mut step.deed, line);
        } else {
            attack.steps.push(Step { deed: deed(line).map_err(|reason| fail(&reason))?, verdicts: Vec::new() });
        }
    }
    match attacks.iter().find(|attack| attack.steps.iter().all(|step| step.verdicts.is_empty())) {
        None => Ok(attacks),
        Some(vague) => Err(ScriptError {
            file: vague.source.clone(),
            line: 0,
            reason: format!("attack \"{}\" says nowhere what must come of it", vague.title),
        }),
    }
}

fn heading_of(family: u8, heading: &str, source: String) -> Result<Attack, String> {
    let (title, words) = match heading.strip_suffix(']').and_then(|rest| rest.rsplit_once('[')) {
        Some((title, words)) => (title.trim(), words),
        None => (heading.trim(), ""),
    };
    let (once, places): (Vec<&str>, Vec<&str>) = words.split_whitespace().partition(|word| *word == "once");
    let scope = scope(&places)?;
    Ok(Attack { family, title: title.to_owned(), source, scope, plain_only: !once.is_empty(), steps: Vec::new() })
}

fn scope(words: &[&str]) -> Result<Scope, String> {
    let mut scope = Scope::default();
    for word in words.iter().map(|word| word.trim_end_matches(',')) {
        if let Ok(isolation) = word.parse::<Isolation>() {
            scope.isolations.push(isolation);
        } else if let Some(door) = Door::ALL.into_iter().find(|door| door.as_str() == word) {
            scope.doors.push(door);
        } else {
            return Err(format!("{word:?} is neither an isolation nor a door"));
        }
    }
    Ok(scope)
}

fn deed(line: &str) -> Result<Deed, String> {
    let Some(rest) = line.strip_prefix('@') else { return Ok(Deed::Sql(line.to_owned())) };
    let (word, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let text = text.to_owned();
    Ok(match word {
        "second" => Deed::Second(text),
        "second&" => Deed::SecondUnanswered(text),
        "victim" => Deed::Victim(text),
        "operator" => Deed::Operator(text),
        "login" => Deed::VictimLogin,
        "open" => Deed::Open,
        "bytes" => Deed::Bytes(text),
        "http" => Deed::Http(text),
        _ => return Err(format!("there is no actor \"@{word}\"")),
    })
}

/// A new line is as good as a blank in SQL, and an HTTP request is made of lines.
fn continued(deed: &mut Deed, line: &str) {
    match deed {
        Deed::Sql(text)
        | Deed::Second(text)
        | Deed::SecondUnanswered(text)
        | Deed::Victim(text)
        | Deed::Operator(text)
        | Deed::Bytes(text)
        | Deed::Http(text) => {
            text.push('\n');
            text.push_str(line.trim_start());
        }
        Deed::VictimLogin | Deed::Open => {}
    }
}

fn verdict(words: &str) -> Result<Verdict, String> {
    let (place, outcomes) = match words.split_once(": ") {
        Some((place, outcomes)) => (scope(&place.split_whitespace().collect::<Vec<_>>())?, outcomes),
        None => (Scope::default(), words),
    };
    let accept = outcomes.split('|').map(|word| accept(word.trim())).collect::<Result<_, _>>()?;
    Ok(Verdict { scope: place, accept })
}

fn accept(word: &str) -> Result<Accept, String> {
    if let Some(rows) = word.strip_prefix('=') {
        return Ok(Accept::Rows(rows.trim().replace('/', "|")));
    }
    Ok(match word {
        "blind" => Accept::Blind,
        "done" => Accept::Done,
        "none" => Accept::NoRows,
        "unmoved" => Accept::Unmoved,
        "closed" => Accept::Closed,
        state if state.len() == 5 && state.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase()) => {
            Accept::State(state.to_owned())
        }
        status if status.len() == 3 => {
            Accept::Status(status.parse().map_err(|_| format!("{status:?} is no HTTP status"))?)
        }
        _ => return Err(format!("{word:?} is no outcome")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_it_looks() {
        let text = "## 6 identities\n# SET ROLE [shared direct once]\n-- why\nSET ROLE\n  x\n=> cluster: 22023 | blind\n=> = 1,2/3\n";
        let attacks = read("f", text).expect("readable");
        let [attack] = attacks.as_slice() else { panic!("{attacks:?}") };
        assert_eq!((attack.family, attack.title.as_str(), attack.plain_only), (6, "SET ROLE", true));
        assert!(attack.scope.covers(Isolation::Shared, Door::Direct));
        assert!(!attack.scope.covers(Isolation::Shared, Door::Gateway));
        let [step] = attack.steps.as_slice() else { panic!("{attack:?}") };
        assert_eq!(step.deed, Deed::Sql("SET ROLE\nx".to_owned()));
        let states = [Accept::State("22023".to_owned()), Accept::Blind];
        assert_eq!(step.verdict(Isolation::Cluster, Door::Direct), Some(states.as_slice()));
        assert_eq!(step.verdict(Isolation::Shared, Door::Direct), Some([Accept::Rows("1,2|3".to_owned())].as_slice()));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (text, named) in [
            ("SELECT 1", "f:1: a step needs"),
            ("# x", "f:1: an attack needs"),
            ("## x", "f:1: a family"),
            ("## 1 a\n# x\n=> 42501", "f:3: a verdict"),
            ("## 1 a\n# x\nSELECT 1\n=> fine", "f:4: \"fine\""),
            ("## 1 a\n# x [lunar]\n", "f:2: \"lunar\""),
            ("## 1 a\n# x\n@who y\n", "f:3: there is no actor"),
            ("## 1 a\n# x\nSELECT 1", "says nowhere"),
        ] {
            let error = read("f", text).expect_err(text).to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
