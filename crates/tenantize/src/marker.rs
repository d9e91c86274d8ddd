//! Comments that speak to síndico: `-- sindico: global` before a CREATE TABLE.

use crate::refusal::{Fault, Verdict};

/// What follows `sindico:` in a comment; `None` for comments that are for people.
fn word(comment: &str) -> Option<&str> {
    let body = match comment.strip_prefix("/*") {
        Some(body) => body.strip_suffix("*/").unwrap_or(body),
        None => comment.trim_start_matches('-'),
    };
    body.trim().strip_prefix("sindico:").map(str::trim)
}

/// Whether the comments before a statement mark it global. `own_line` tells whether nothing of an earlier statement is
/// on the line of a comment.
pub(crate) fn global(leading: &[(usize, &str)], own_line: impl Fn(usize) -> bool) -> Result<bool, (usize, Fault)> {
    let mut found = false;
    for (place, comment) in leading {
        match word(comment) {
            None => {}
            Some("global") if own_line(*place) => found = true,
            Some("global") => {
                let fault = Fault::new(
                    "the marker 'sindico: global' shares a line with the end of another statement",
                    "put it on a line of its own, right before the CREATE TABLE it is about",
                );
                return Err((*place, fault));
            }
            Some(other) => {
                let fault = Fault::new(
                    format!("the marker 'sindico: {other}' does not exist"),
                    "write '-- sindico: global', or remove it",
                );
                return Err((*place, fault));
            }
        }
    }
    Ok(found)
}

/// Fails if one of these comments, which stand before no statement, is a marker.
pub(crate) fn none(comments: &[(usize, &str)]) -> Verdict<()> {
    if comments.iter().any(|(_, comment)| word(comment).is_some()) {
        return Err(Fault::new(
            "a marker 'sindico: …' stands inside or after a statement",
            "put it on a line of its own, right before the CREATE TABLE it is about",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_read_in_either_kind_of_comment() {
        for marker in ["-- sindico: global", "--sindico:global", "/* sindico: global */"] {
            assert_eq!(global(&[(0, "-- why"), (9, marker)], |_| true), Ok(true), "{marker}");
        }
        assert_eq!(global(&[(0, "-- global")], |_| true), Ok(false));
    }

    #[test]
    fn misspelt_and_misplaced_markers_are_refused() {
        assert!(global(&[(0, "-- sindico: globl")], |_| true).is_err());
        assert!(global(&[(0, "-- sindico: global")], |_| false).is_err());
        assert!(none(&[(0, "-- sindico: global")]).is_err());
    }
}
