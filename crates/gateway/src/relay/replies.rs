//! Which message of the client's the server's next answer is to.
//!
//! Some of what the server is asked is not the client's (a statement that it prepared elsewhere is prepared here first),
//! and some of what the client asks does not reach the server (it has that statement already). Each answer therefore has
//! its place in a queue, and those of síndico's own making come out where the server's would have stood.
//!
//! After an error in the extended protocol the server skips everything up to the next Sync (PostgreSQL manual, 55.2.3).
//! What was believed prepared by messages that it skipped is taken back: [`Undo`].

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use bytes::BytesMut;
use wire::frame;

use crate::prepared::Statement;

/// An answer that is due.
#[derive(Debug)]
pub(super) enum Due {
    /// To a `Parse`.
    Parse(Change),
    /// To a `Parse` of síndico's own.
    OwnParse(u64),
    /// The same without a name.
    OwnUnnamed,
    /// To a `Close` of síndico's own.
    OwnClose(u64),
    /// Síndico's own to a message that did not reach the server: its tag.
    Made(u8, Change),
    /// To a `Close`.
    Close,
    Bind,
    Describe,
    Execute,
    Sync,
    /// To a Query or `FunctionCall`, which end as a Sync does.
    Query,
    /// None: the client has sent COPY data here, or that it ends, before it was asked for any. If a COPY is what stands ahead,
    /// it is for that.
    Data {
        ends: bool,
    },
}

/// What a client's message changes: which statement a name means.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) name: Box<[u8]>,
    /// What it meant before.
    pub(super) before: Option<Arc<Statement>>,
    /// The statement that the server is being asked to prepare under its number.
    pub(super) number: Option<u64>,
}

/// What did not come to be, the latest first.
#[derive(Debug)]
pub(super) enum Undo {
    /// A name means what it meant before.
    Name(Box<[u8]>, Option<Arc<Statement>>),
    /// The server does not have this statement.
    Absent(u64),
    /// It has no unnamed one.
    Unnamed,
    /// It still has this one.
    Present(u64),
}

/// What becomes of a message of the server's.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Pass,
    /// It is not for the client.
    Keep,
}

/// What a server has left unanswered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unanswered {
    /// Queries and Syncs: each is owed a `ReadyForQuery`.
    pub(super) ends: usize,
    /// More was sent behind them, or an error has come, without a Sync.
    pub(super) unsynced: bool,
    /// The first of all this has been answered by an error already.
    pub(super) told: bool,
}

/// The answers that are due, in order.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and together they are no state")]
pub(super) struct Replies {
    due: VecDeque<Due>,
    /// An error has come and no Sync since: the server skips what it is sent.
    skipping: bool,
    /// The server takes COPY data, and skips Syncs meanwhile.
    copying: bool,
    /// An error has come and no `ReadyForQuery` since.
    told: bool,
    /// Answers may have been taken for others: the connection is fit for nothing but this client.
    doubtful: bool,
    /// Groups of messages up to a Sync, or of a Query alone, that have been sent, and how many of them have been answered.
    sent: u64,
    answered: u64,
}

impl Replies {
    /// Notes that an answer will be due.
    pub(super) fn expect(&mut self, due: Due) {
        self.due.push_back(due);
    }

    /// The group that a message belongs to which is sent now.
    pub(super) const fn group(&self) -> u64 {
        self.sent
    }

    /// Whether a message waits for what an earlier group comes to: an error in it would have skipped the rest of it.
    pub(super) const fn is_undecided(&self, group: u64) -> bool {
        group >= self.answered && group < self.sent
    }

    /// Notes a message that passes as it is.
    pub(super) fn passed(&mut self, tag: u8) {
        match tag {
            b'S' if self.copying => self.doubtful = true,
            b'S' => {
                self.skipping = false;
                self.sent += 1;
                self.due.push_back(Due::Sync);
            }
            _ if self.skipping => {}
            b'Q' | b'F' => {
                self.sent += 1;
                self.due.push_back(Due::Query);
            }
            b'B' => self.due.push_back(Due::Bind),
            b'D' => self.due.push_back(Due::Describe),
            b'E' => self.due.push_back(Due::Execute),
            b'C' => self.due.push_back(Due::Close),
            b'c' | b'f' if self.copying => self.copying = false,
            b'd' | b'c' | b'f' if !self.copying => {
                let ends = tag != b'd';
                if self.due.back().is_some_and(|due| !matches!(due, Due::Data { ends: before } if *before == ends)) {
                    self.due.push_back(Due::Data { ends });
                }
            }
            _ => {}
        }
    }

    /// A message that has no answer of its own ends what a name means: whatever fails that was sent before does not bring
    /// it back.
    pub(super) fn ends(&mut self, name: &[u8]) {
        for change in self.due.iter_mut().filter_map(change_in).filter(|change| *change.name == *name) {
            change.before = None;
        }
    }

    /// Whether what the client sends now is skipped.
    pub(super) const fn is_skipping(&self) -> bool {
        self.skipping
    }

    /// Gives back the room that answers took.
    pub(super) fn shrink(&mut self) {
        self.due.shrink_to_fit();
    }

    /// Whether every answer has come, each to its own question.
    pub(super) fn are_in(&self) -> bool {
        self.due.is_empty() && !self.skipping && !self.doubtful && !self.copying
    }

    /// Whether something is due, and nothing more is sent before the server has been told to answer.
    pub(super) fn are_awaited(&self) -> bool {
        !self.copying && self.last().is_some_and(is_end)
    }

    /// What is answered last.
    fn last(&self) -> Option<&Due> {
        self.due.iter().rev().find(|due| !matches!(due, Due::Data { .. }))
    }

    /// Takes the answer that has come.
    fn pop(&mut self) -> Option<Due> {
        let due = self.due.pop_front();
        while let Some(Due::Data { .. }) = self.due.front() {
            self.due.pop_front();
        }
        due
    }

    /// How many answers are due.
    pub(super) fn len(&self) -> usize {
        self.due.len()
    }

    /// Whether answers may have been taken for others.
    pub(super) const fn are_doubtful(&self) -> bool {
        self.doubtful
    }

    /// Whether the client sends data, or may.
    pub(super) const fn is_copying(&self) -> bool {
        self.copying
    }

    /// Nothing more will come. Takes back what was believed prepared, and says what somebody else has to answer.
    pub(super) fn lost(&mut self, undo: &mut Vec<Undo>) -> Unanswered {
        let unanswered = Unanswered {
            ends: self.due.iter().filter(|due| is_end(due)).count(),
            unsynced: self.last().map_or(self.skipping, |due| !is_end(due)),
            told: self.told,
        };
        take_back(self.due.drain(..), undo);
        *self = Self::default();
        unanswered
    }

    /// Notes a message of the server's, and what it says was not done.
    pub(super) fn received(&mut self, tag: u8, undo: &mut Vec<Undo>) -> Fate {
        match tag {
            // Those come at any time.
            b'N' | b'S' | b'A' => return Fate::Pass,
            b'E' => {
                self.copying = false;
                self.told = true;
                if !matches!(self.due.front(), Some(Due::Query) | None) {
                    self.fail(undo);
                }
                return Fate::Pass;
            }
            b'Z' => {
                self.copying = false;
                self.skipping = false;
                self.told = false;
                let popped = self.pop();
                self.doubtful |= !popped.as_ref().is_some_and(is_end);
                self.answered += 1;
                return Fate::Pass;
            }
            // CopyInResponse, CopyBothResponse.
            b'G' | b'W' => {
                self.take_data();
                return Fate::Pass;
            }
            _ => {}
        }
        let own = match (tag, self.due.front()) {
            (b'1', Some(Due::OwnParse(_) | Due::OwnUnnamed)) | (b'3', Some(Due::OwnClose(_))) => true,
            (b'1', Some(Due::Parse(_)))
            | (b'2', Some(Due::Bind))
            | (b'3', Some(Due::Close))
            | (b'T' | b'n', Some(Due::Describe))
            | (b'C' | b'I' | b's', Some(Due::Execute)) => false,
            (_, Some(Due::Query)) | (b't', Some(Due::Describe)) | (b'D' | b'd' | b'c' | b'H', Some(Due::Execute)) => {
                return Fate::Pass;
            }
            _ => {
                self.doubtful = true;
                return Fate::Pass;
            }
        };
        self.copying = false;
        self.pop();
        if own { Fate::Keep } else { Fate::Pass }
    }

    /// The server takes data. A Sync that the client has sent along is read, and skipped, before the data.
    fn take_data(&mut self) {
        let head = self.due.pop_front();
        let end = self.due.iter().position(|due| matches!(due, Due::Data { ends: true }));
        // What comes behind that end is for later.
        let behind = end.map(|end| self.due.split_off(end));
        self.copying = behind.is_none();
        let mut data = false;
        for due in mem::take(&mut self.due) {
            match due {
                Due::Data { .. } => data = true,
                Due::Sync => {
                    self.sent -= 1;
                    // If the COPY fails at data ahead of it, it is answered.
                    self.doubtful |= data;
                }
                // That is an error, or is skipped after one.
                other => {
                    self.doubtful = true;
                    self.due.push_back(other);
                }
            }
        }
        self.due.extend(behind.into_iter().flatten().skip(1));
        if let Some(head) = head {
            self.due.push_front(head);
        }
    }

    /// The server skips everything up to the next Sync.
    fn fail(&mut self, undo: &mut Vec<Undo>) {
        // A `Parse` that fails has ended the unnamed statement all the same; one that is skipped has not.
        if let Some(Due::Parse(Change { name, before, number: Some(_) })) = self.due.front_mut()
            && name.is_empty()
        {
            *before = None;
        }
        let until = self.due.iter().position(|due| matches!(due, Due::Sync));
        self.skipping = until.is_none();
        let mut undone = Vec::new();
        take_back(self.due.drain(..until.unwrap_or(self.due.len())), &mut undone);
        for back in undone {
            match back {
                // A later message gives the name another meaning; should that fail as well, this is what is left.
                Undo::Name(name, before)
                    if let Some(later) =
                        self.due.iter_mut().filter_map(change_in).find(|change| change.name == name) =>
                {
                    later.before = before;
                }
                back => undo.push(back),
            }
        }
    }

    /// Síndico's own answers whose turn has come.
    pub(super) fn made(&mut self) -> Option<BytesMut> {
        if !matches!(self.due.front(), Some(Due::Made(..))) {
            return None;
        }
        let mut out = BytesMut::new();
        while let Some(Due::Made(tag, _)) = self.due.front() {
            frame::append(&mut out, *tag, &[]);
            self.pop();
        }
        Some(out)
    }
}

const fn is_end(due: &Due) -> bool {
    matches!(due, Due::Sync | Due::Query)
}

fn change_in(due: &mut Due) -> Option<&mut Change> {
    match due {
        Due::Parse(change) | Due::Made(_, change) => Some(change),
        _ => None,
    }
}

/// What did not come to be of answers that do not come.
fn take_back(due: impl DoubleEndedIterator<Item = Due>, undo: &mut Vec<Undo>) {
    for due in due.rev() {
        match due {
            Due::Parse(Change { name, before, number }) | Due::Made(_, Change { name, before, number }) => {
                undo.extend(number.map(|number| if name.is_empty() { Undo::Unnamed } else { Undo::Absent(number) }));
                undo.push(Undo::Name(name, before));
            }
            Due::OwnUnnamed => undo.push(Undo::Unnamed),
            Due::OwnParse(number) => undo.push(Undo::Absent(number)),
            Due::OwnClose(number) => undo.push(Undo::Present(number)),
            Due::Close | Due::Bind | Due::Describe | Due::Execute | Due::Sync | Due::Query | Due::Data { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(name: &[u8], number: Option<u64>) -> Change {
        Change { name: name.into(), before: None, number }
    }

    fn heard(replies: &mut Replies, tags: &[u8]) -> (String, Vec<Undo>) {
        let (mut client, mut undo) = (Vec::new(), Vec::new());
        for &tag in tags {
            if replies.received(tag, &mut undo) == Fate::Pass {
                client.push(tag);
            }
            client.extend(replies.made().iter().flat_map(|made| made.iter().step_by(5)));
        }
        (String::from_utf8(client).expect("tags are ASCII"), undo)
    }

    #[test]
    fn answers_stand_where_the_servers_would_have() {
        let mut replies = Replies::default();
        replies.expect(Due::OwnParse(1));
        replies.passed(b'B');
        replies.passed(b'E');
        replies.expect(Due::Made(b'1', change(b"b", None)));
        replies.passed(b'D');
        replies.expect(Due::Made(b'3', change(b"b", None)));
        replies.passed(b'S');
        let (client, undo) = heard(&mut replies, b"12DDCtTZ");
        assert_eq!(client, "2DDC1tT3Z");
        assert!(undo.is_empty() && replies.are_in());
    }

    #[test]
    fn what_the_server_skips_is_taken_back() {
        let mut replies = Replies::default();
        replies.expect(Due::Parse(change(b"a", Some(1))));
        replies.expect(Due::OwnClose(9));
        replies.expect(Due::OwnParse(2));
        replies.passed(b'B');
        replies.expect(Due::Made(b'1', change(b"c", None)));
        replies.passed(b'S');
        replies.passed(b'Q');
        let (client, undo) = heard(&mut replies, b"1E");
        assert_eq!(client, "1E");
        let undone: Vec<String> = undo.iter().map(|undo| format!("{undo:?}")).collect();
        assert_eq!(undone, ["Name([99], None)", "Absent(2)", "Present(9)"]);
        assert_eq!(heard(&mut replies, b"ZTDCZ").0, "ZTDCZ");
        assert!(replies.are_in());
    }

    #[test]
    fn an_error_before_its_sync_skips_until_there_is_one() {
        let mut replies = Replies::default();
        replies.passed(b'B');
        heard(&mut replies, b"E");
        assert!(replies.is_skipping());
        for tag in *b"BEQ" {
            replies.passed(tag);
        }
        replies.passed(b'S');
        assert_eq!(heard(&mut replies, b"Z").0, "Z");
        assert!(replies.are_in());
    }

    #[test]
    fn what_a_group_comes_to_is_known_when_it_is_answered() {
        let mut replies = Replies::default();
        replies.passed(b'B');
        let first = replies.group();
        assert!(!replies.is_undecided(first), "in the same group the server decides");
        replies.passed(b'S');
        assert!(replies.is_undecided(first) && replies.group() > first);
        heard(&mut replies, b"EZ");
        assert!(!replies.is_undecided(first));
        for tag in *b"BES" {
            replies.passed(tag);
        }
        let copy = replies.group() - 1;
        heard(&mut replies, b"2G");
        assert_eq!(replies.group(), copy, "the Sync behind it does not count");
    }

    #[test]
    fn a_sync_along_with_copy_is_skipped() {
        let mut replies = Replies::default();
        for tag in *b"BES" {
            replies.passed(tag);
        }
        heard(&mut replies, b"2G");
        assert!(!replies.are_in());
        for tag in *b"dc" {
            replies.passed(tag);
        }
        heard(&mut replies, b"C");
        replies.passed(b'S');
        heard(&mut replies, b"Z");
        assert!(replies.are_in());
    }

    #[test]
    fn what_is_sent_behind_the_data_of_a_copy_keeps_its_place() {
        for copy in [&b"Q"[..], b"BES"] {
            let mut replies = Replies::default();
            for tag in copy.iter().chain(b"ddc") {
                replies.passed(*tag);
            }
            if copy != b"Q" {
                replies.passed(b'S');
            }
            replies.expect(Due::Made(b'3', change(b"a", None)));
            replies.expect(Due::Parse(change(b"a", Some(1))));
            replies.passed(b'S');
            assert!(replies.are_awaited());
            let answers = if copy == b"Q" { &b"GCZ1Z"[..] } else { b"2GCZ1Z" };
            let (client, undo) = heard(&mut replies, answers);
            assert_eq!(client, if copy == b"Q" { "GCZ31Z" } else { "2GCZ31Z" });
            assert!(undo.is_empty());
            assert!(replies.are_in());
        }
    }

    #[test]
    fn a_sync_between_data_leaves_a_doubt() {
        let mut replies = Replies::default();
        for tag in *b"BEdSdcS" {
            replies.passed(tag);
        }
        assert_eq!(heard(&mut replies, b"2GCZ").0, "2GCZ");
        assert!(!replies.are_in() && replies.are_doubtful(), "had it failed, there would be another answer");
    }

    #[test]
    fn data_that_nobody_takes_is_nothing() {
        let mut replies = Replies::default();
        for tag in *b"QdcBES" {
            replies.passed(tag);
        }
        assert_eq!(heard(&mut replies, b"CZ2CZ").0, "CZ2CZ");
        replies.passed(b'c');
        assert!(replies.are_in());
    }

    #[test]
    fn what_is_taken_back_does_not_undo_what_came_later() {
        let mut replies = Replies::default();
        replies.expect(Due::Parse(change(b"", Some(1))));
        replies.passed(b'S');
        replies.expect(Due::Parse(change(b"", Some(2))));
        replies.passed(b'S');
        let (_, undo) = heard(&mut replies, b"E");
        assert!(matches!(undo.as_slice(), [Undo::Unnamed]), "{undo:?}");
        let (_, undo) = heard(&mut replies, b"ZE");
        assert!(matches!(undo.as_slice(), [Undo::Unnamed, Undo::Name(name, None)] if name.is_empty()), "{undo:?}");
    }

    #[test]
    fn an_answer_to_nothing_leaves_a_doubt() {
        for tags in [&b"Z"[..], b"1", b"2"] {
            let mut replies = Replies::default();
            heard(&mut replies, tags);
            assert!(!replies.are_in() && replies.are_doubtful(), "{tags:?}");
        }
    }
}
