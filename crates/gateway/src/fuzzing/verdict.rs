//! What has to be true of everything that a client was told.

use super::frames::{self, Message, TO_CLIENT};

/// Messages that the gateway makes, too, or translates.
const MADE: &[u8] = b"13EZCA";

/// What the servers said, message by message in the order in which they had said it, and the beginnings of what they did not
/// say to the end.
pub(super) struct Said<'s> {
    pub(super) messages: &'s [Message],
    pub(super) begun: &'s [Vec<u8>],
    /// Questions that the client has sent in whole messages.
    pub(super) questions: usize,
}

/// Notes what is wrong with what a client was told, and counts its messages. What the gateway does not make
/// itself has to have been said by a server, in the same order and no more than once.
pub(super) fn judge(heard: &[u8], cut: bool, said: &Said<'_>, broken: &mut Vec<String>) -> usize {
    let (messages, rest) = match frames::all(heard.to_vec(), TO_CLIENT) {
        Ok(cut) => cut,
        Err(what) => {
            broken.push(format!("the client was sent {what}"));
            return 0;
        }
    };
    let mut behind = said.messages.iter();
    for message in messages.iter().filter(|(tag, _)| !MADE.contains(tag)) {
        if !behind.any(|said| said == message) {
            broken.push(format!("the client was told what no server said at that time: {}", shown(message)));
            break;
        }
    }
    if !rest.is_empty() && !cut {
        let begins = |bytes: &Vec<u8>| bytes.starts_with(&rest);
        if !said.begun.iter().any(begins) {
            broken
                .push(format!("the client was told a message's beginning that no server cut: {}", rest.escape_ascii()));
        }
    }
    let ready = messages.iter().filter(|(tag, _)| *tag == b'Z').count();
    if ready > said.questions {
        broken.push(format!("{ready} ReadyForQuery for {} questions", said.questions));
    }
    messages.len()
}

/// Notes where what a client was told is not what a server would have told it.
pub(super) fn compare(heard: &[u8], direct: &[u8], broken: &mut Vec<String>) {
    let (Some(heard), Some(direct)) = (plain(heard), plain(direct)) else { return };
    if heard == direct {
        return;
    }
    let alike = heard.iter().zip(&direct).take_while(|(one, other)| one == other).count();
    let around = |messages: &[Message]| -> Vec<String> {
        messages.iter().take(alike + 3).skip(alike.saturating_sub(5)).map(shown).collect()
    };
    broken.push(format!(
        "message {alike} is not what a server would have said: {:#?} instead of {:#?}",
        around(&heard),
        around(&direct)
    ));
}

/// Without what may differ: what servers say unasked, the words of errors, whose turn a row is.
fn plain(stream: &[u8]) -> Option<Vec<Message>> {
    let (messages, _) = frames::all(stream.to_vec(), TO_CLIENT).ok()?;
    let plain = messages.into_iter().filter(|(tag, _)| !b"NAS".contains(tag)).map(|(tag, body)| {
        let body = match tag {
            b'E' => body.split(|byte| *byte == 0).find(|field| field.starts_with(b"C")).unwrap_or_default().to_vec(),
            b'D' => {
                let mark = body.get(2..6).and_then(|len| len.try_into().ok()).map_or(0, u32::from_be_bytes);
                let value = body.get(6 + usize::try_from(mark).unwrap_or_default()..).unwrap_or_default();
                // As the clerk has it for tenants in shared tables.
                String::from_utf8_lossy(value).replace("(tenant_id, tag)", "(tag)").into_bytes()
            }
            _ => body,
        };
        (tag, body)
    });
    Some(plain.collect())
}

fn shown((tag, body): &Message) -> String {
    format!("{} {}", char::from(*tag), body.get(..body.len().min(80)).unwrap_or_default().escape_ascii())
}
