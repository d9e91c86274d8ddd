//! The text that is sent in place of a statement that must not run.
//!
//! The server has to say the refusal: only it knows whether the statement's turn comes at all, and an error has to
//! leave the transaction as errors do. It also has to say it when it *parses* the text, because a driver that prepares
//! a statement expects an error there, before it asks for the types of its parameters. Of all that SQL can express only
//! the reading of a literal happens then, and only by its type. So `sindico.refusal` is a domain whose check raises what
//! it is given, and an array of it, unlike the domain itself, has its elements checked as the literal is read.

/// Writes the refusal as one SQL statement. `utf8` says that the server reads it as UTF-8; otherwise it is ASCII.
pub(crate) fn refusal(sqlstate: &str, message: &str, hint: &str, utf8: bool) -> String {
    let mut element = String::with_capacity(sqlstate.len() + message.len() + hint.len() + 2);
    for (index, part) in [sqlstate, message, hint].into_iter().enumerate() {
        if index > 0 {
            element.push('\n');
        }
        for letter in part.chars() {
            match letter {
                // Lines part the three.
                '\n' | '\r' | '\0' => element.push(' '),
                // PostgreSQL manual, 8.15.6: in an array's literal.
                '"' | '\\' => element.extend(['\\', letter]),
                other if utf8 || other.is_ascii() => element.push(other),
                _ => element.push('?'),
            }
        }
    }
    // In dollar quotes, because what backslashes mean in plain ones depends on the session.
    let mut tag = "$refusal".to_owned();
    while element.contains(&tag) {
        tag.push('_');
    }
    format!("SELECT {tag}${{\"{element}\"}}{tag}$::sindico.refusal[]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_message_ends_its_literal() {
        assert_eq!(
            refusal("0A000", "no \"LOCK\" here", "Do\nwithout.", true),
            "SELECT $refusal${\"0A000\nno \\\"LOCK\\\" here\nDo without.\"}$refusal$::sindico.refusal[]"
        );
        let hostile = refusal("0A000", "$refusal$::text[]; DROP TABLE t; --", r"\", true);
        assert!(hostile.starts_with("SELECT $refusal_${") && hostile.ends_with("\\\\\"}$refusal_$::sindico.refusal[]"));
        assert!(refusal("0A000", "não", "", false).contains("n?o"));
    }
}
