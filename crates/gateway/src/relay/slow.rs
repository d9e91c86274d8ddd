//! Statements that take long. What a client asks for is kept until it is answered, and then logged or forgotten: nothing is kept
//! of what is not running, and nothing at all where nobody wants to know.

use std::time::Duration;

use tenancy::Visit;
use wire::frame::{Beyond, Demand, Header};

use super::bodies::{names_of_bind, split_name};
use super::pooled::Pooled;
use crate::dials::Dials;
use crate::statement::Clerk;

/// Characters of a text that are logged.
const SHOWN: usize = 1024;

/// Bytes of a text from which those are taken.
const KEPT: usize = 4 * SHOWN;

/// Names of statements in one request that are told apart; of more, texts may be repeated.
const NAMES: usize = 16;

/// How far from the end of a text the comment may begin that says which trace it belongs to.
const COMMENT: usize = 2048;

/// Messages that are read from their beginning.
pub(super) const DEMANDS: [Demand; 2] = [
    Demand { tag: b'Q', limit: KEPT, beyond: Beyond::StreamAfter(KEPT) },
    Demand { tag: b'P', limit: KEPT, beyond: Beyond::StreamAfter(KEPT) },
];

/// Looks after what one session asks for.
#[derive(Debug)]
pub(super) struct Slow {
    dials: Dials,
    asked: Option<Box<Asked>>,
}

/// What a client has sent and the server not answered yet. Values of parameters never get here.
#[derive(Debug, Default)]
struct Asked {
    /// The texts, one behind the other.
    text: String,
    /// Characters in it.
    shown: usize,
    /// Statements whose text is there, or would be.
    names: Vec<Box<[u8]>>,
    trace: Option<Box<str>>,
}

impl Slow {
    pub(super) const fn new(dials: Dials) -> Self {
        Self { dials, asked: None }
    }

    /// Whether anything is to be remembered.
    pub(super) fn is_on(&self) -> bool {
        self.dials.read().slow_queries.over.is_some()
    }

    /// Remembers a message that begins, if it holds a statement or names one that was prepared before.
    pub(super) fn hears(&mut self, header: Header, body: &[u8], clerk: Option<&Clerk>, pooled: Option<&Pooled>) {
        if !matches!(header.tag, b'Q' | b'P' | b'B') {
            return;
        }
        let wanted = self.dials.read().slow_queries;
        if wanted.over.is_none() {
            return;
        }
        let asked = self.asked.get_or_insert_default();
        let whole = body.len() == header.body_len;
        let text = match header.tag {
            b'Q' => body.strip_suffix(b"\0").unwrap_or(body),
            b'P' => {
                let Some((name, rest)) = split_name(body) else { return };
                asked.knows(name);
                rest.split(|byte| *byte == 0).next().unwrap_or_default()
            }
            _ => {
                let Some((_, name)) = names_of_bind(body) else { return };
                if asked.knows(name) {
                    return;
                }
                return match pooled.and_then(|pooled| pooled.text_of(name)) {
                    Some(text) => {
                        asked.note_trace(text);
                        if wanted.text {
                            // As the server got it, but for the names of channels, which are a secret.
                            let prefix = clerk.map(Clerk::channel_prefix).filter(|prefix| !prefix.is_empty());
                            match prefix.and_then(|prefix| std::str::from_utf8(prefix).ok()) {
                                Some(prefix) => asked.add(&String::from_utf8_lossy(text).replace(prefix, "")),
                                None => asked.add(&lossy(text)),
                            }
                        }
                    }
                    None if wanted.text => asked.add(&format!("(prepared as {:?})", lossy(name))),
                    None => {}
                };
            }
        };
        if whole {
            asked.note_trace(text);
        }
        if wanted.text {
            asked.add(&lossy(text));
        }
    }

    /// Everything has been answered, in this time.
    pub(super) fn answered(&mut self, time: Duration, visit: &Visit) {
        let Some(asked) = self.asked.take() else { return };
        let wanted = self.dials.read().slow_queries;
        if wanted.over.is_none_or(|over| time <= over) {
            return;
        }
        let text = Some(asked.text.as_str()).filter(|text| !text.is_empty() && wanted.text);
        tracing::warn!(
            tenant = %visit.slug(), session = visit.number(), statement = visit.statements(),
            milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX), trace = asked.trace.as_deref(), text,
            "slow statement"
        );
    }

    /// Nothing will be answered.
    pub(super) fn forget(&mut self) {
        self.asked = None;
    }
}

impl Asked {
    /// Whether the text that goes by a name is here already; from now on it is.
    fn knows(&mut self, name: &[u8]) -> bool {
        let known = self.names.iter().any(|known| **known == *name);
        if !known && self.names.len() < NAMES {
            self.names.push(name.into());
        }
        known
    }

    fn add(&mut self, text: &str) {
        let text = text.trim().trim_end_matches(';');
        let parting = if self.text.is_empty() { "" } else { "; " };
        // A line of the log stays one line.
        let shown = parting.chars().chain(text.chars()).map(|c| if c.is_control() { ' ' } else { c });
        for character in shown.take(SHOWN - self.shown) {
            self.text.push(character);
            self.shown += 1;
        }
    }

    fn note_trace(&mut self, text: &[u8]) {
        if self.trace.is_none() {
            self.trace = trace(text).map(Box::from);
        }
    }
}

fn lossy(text: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(text.get(..KEPT).unwrap_or(text))
}

/// The trace that a statement belongs to, by the comment at its beginning or its end (sqlcommenter's `traceparent`, W3C Trace
/// Context, section 3.2.2).
fn trace(text: &[u8]) -> Option<&str> {
    let text = text.trim_ascii();
    let body = text.strip_suffix(b";").unwrap_or(text).trim_ascii_end();
    let last = body.strip_suffix(b"*/").and_then(|body| {
        let near = body.get(body.len().saturating_sub(COMMENT)..)?;
        let begin = near.windows(2).rposition(|pair| pair == b"/*")?;
        near.get(begin + 2..)
    });
    let first = || {
        let near = text.strip_prefix(b"/*")?;
        let near = near.get(..COMMENT).unwrap_or(near);
        near.get(..near.windows(2).position(|pair| pair == b"*/")?)
    };
    last.and_then(trace_in).or_else(|| first().and_then(trace_in))
}

fn trace_in(comment: &[u8]) -> Option<&str> {
    const NAME: &str = "traceparent='";
    let comment = std::str::from_utf8(comment).ok()?;
    let (before, rest) = comment.split_once(NAME)?;
    if before.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let (value, _) = rest.split_once('\'')?;
    let mut parts = value.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |part: &str, len| part.len() == len && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let sound = is_hex(version, 2) && is_hex(trace, 32) && is_hex(parent, 16) && is_hex(flags, 2);
    (sound && trace.bytes().any(|byte| byte != b'0')).then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dials::{DialSettings, SlowQueries};

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn slow(over: Option<Duration>, text: bool) -> Slow {
        let slow_queries = SlowQueries { over, text };
        Slow::new(Dials::new(DialSettings { slow_queries, ..DialSettings::default() }))
    }

    fn hear(slow: &mut Slow, tag: u8, body: &[u8]) {
        slow.hears(Header { tag, body_len: body.len() }, body, None, None);
    }

    #[test]
    fn a_request_is_remembered_as_its_texts_and_no_values() {
        let mut slow = slow(Some(Duration::ZERO), true);
        for (tag, body) in [
            (b'P', &b"\0BEGIN\0\0\0"[..]),
            (b'B', b"\0\0\0\0\0\x01\0\0\0\x06secret\0\0"),
            (b'E', b"\0\0\0\0\0"),
            (b'P', b"\0SELECT $1\nFROM t;\0\0\0"),
            (b'B', b"\0\0\0\0\0\x01\0\0\0\x06secret\0\0"),
            (b'B', b"\0s1\0\0\0\0\x01\0\0\0\x06secret\0\0"),
            (b'Q', b"SELECT 'x'\0"),
        ] {
            hear(&mut slow, tag, body);
        }
        let asked = slow.asked.as_ref().expect("remembered");
        assert_eq!(asked.text, "BEGIN; SELECT $1 FROM t; (prepared as \"s1\"); SELECT 'x'");
        slow.forget();
        assert!(slow.asked.is_none());
    }

    #[test]
    fn a_text_has_an_end_and_may_be_left_out() {
        let mut on = slow(Some(Duration::ZERO), true);
        hear(&mut on, b'Q', format!("SELECT '{}'\0", "ã".repeat(5000)).as_bytes());
        hear(&mut on, b'Q', b"SELECT 2\0");
        let asked = on.asked.as_ref().expect("remembered");
        assert_eq!((asked.text.chars().count(), asked.shown), (SHOWN, SHOWN));
        let mut silent = slow(Some(Duration::ZERO), false);
        hear(&mut silent, b'Q', format!("SELECT 1 /*traceparent='00-{TRACE}-00f067aa0ba902b7-01'*/\0").as_bytes());
        let asked = silent.asked.as_ref().expect("remembered");
        assert_eq!((asked.text.as_str(), asked.trace.as_deref()), ("", Some(TRACE)));
        let mut off = slow(None, true);
        hear(&mut off, b'Q', b"SELECT 1\0");
        assert!(off.asked.is_none() && !off.is_on());
    }

    #[test]
    fn traces_are_told_by_the_first_or_the_last_comment() {
        let parent = format!("traceparent='00-{TRACE}-00f067aa0ba902b7-01'");
        for (text, expected) in [
            (format!("SELECT 1 /*{parent}*/"), true),
            (format!("SELECT 1 /*db_driver='x',{parent},route='%2Fa'*/ ; "), true),
            (format!("/* {parent} */ SELECT '/*'"), true),
            (format!("/*a='b'*/ SELECT /* {parent} */ 1"), false),
            (format!("SELECT '{}'", parent.replace('\'', "''")), false),
            (format!("SELECT 1 /*x{parent}*/"), false),
            (format!("SELECT 1 /*{}*/", parent.replace(TRACE, &"0".repeat(32))), false),
            (format!("SELECT 1 /*{}*/", parent.replace('4', "x")), false),
            (format!("SELECT 1 /*{}*/", &parent[..40]), false),
            ("SELECT 1 */".to_owned(), false),
            ("/*/".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(trace(text.as_bytes()), expected.then_some(TRACE), "{text}");
        }
    }
}
