//! What a client keeps while its transactions run on one server connection after the other.

use std::sync::Arc;

use bytes::BytesMut;
use foldhash::HashMap;
use pool::{Residue, Settings};
use wire::frame::Header;
use wire::frontend::{self, Statement as Text};

use super::Need;
use super::bodies::{beginning, contains, deallocated, names_of_bind, split_name, with_header};
use super::replies::{Change, Due, Fate, Replies, Undo};
use crate::fault::Fault;
use crate::prepared::{self, Library, PER_SERVER, Statement, Statements};
use crate::statement::refusal;
use crate::traces::Traces;

/// Settings of the app's own making that one client may have, at most; beyond them it keeps its server connection.
const NAMES: usize = 64;

/// A client's part of a session.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and together they are no state")]
pub(crate) struct Pooled {
    library: Library,
    /// A number that no two clients share.
    pub(super) client: u64,
    pub(super) statements: Statements,
    pub(super) replies: Replies,
    /// The settings that it has made for itself.
    pub(super) settings: Settings,
    /// Its settings of the app's own making, by name.
    pub(super) names: Vec<String>,
    /// The server is to be asked what has become of the session.
    pub(super) ask: bool,
    /// The session keeps something that no other can be given, as the server said when it was asked last.
    pub(super) kept: bool,
    /// It has to be kept for as long as the client stays.
    stay: bool,
    /// The server's prepared statements are not what they are believed to be.
    pub(super) forget: bool,
    /// A statement is under way that ends others' effects: what comes behind it has to wait for what it does.
    barrier: bool,
    /// Settings may be other than those noted, until the end of the transaction.
    unsettled: bool,
    /// In which group of messages names were given a meaning last, and statements prepared: until it is answered, an error
    /// in it may have skipped that.
    named_in: HashMap<Box<[u8]>, u64>,
    prepared_in: HashMap<u64, u64>,
    /// What a transaction on the login that serves many has come to.
    stage: Stage,
    /// What comes next has to wait for a connection of the tenant's own login.
    pub(super) waits: bool,
    /// There is none to be had for it any more: it has to be refused.
    refuses: bool,
    /// The server has told the client of a setting since the transaction began.
    pub(super) reported: bool,
    /// The Query that a connection was looked for with, and what it may leave: the next thing to happen is that it is sent.
    looked: Option<Box<Looked>>,
    /// Everything runs on the tenant's own login from now on, since something had to be refused for being on the other.
    own: bool,
}

/// A text that has been read for what it may leave.
#[derive(Debug)]
struct Looked {
    text: Box<[u8]>,
    traces: Traces,
}

/// Bytes of the longest text that is worth remembering for that.
const WORTH_REMEMBERING: usize = 1024;

/// What a transaction has come to.
#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Nothing,
    /// Its beginning, in these words.
    Begun(String),
    Statements,
}

/// Answers that may be due at once. A server keeps back fewer, so waiting for some of them comes to an end.
const MOST_DUE: usize = 20_000;

/// A number that no statement has: for one that is prepared only to be given up.
const NONE: u64 = u64::MAX;

/// What goes to the server in place of a message; `None` for the message itself.
pub(super) type Instead = Option<BytesMut>;

impl Pooled {
    pub(crate) fn new(library: Library, client: u64) -> Self {
        Self {
            library,
            client,
            statements: Statements::default(),
            replies: Replies::default(),
            settings: Settings::default(),
            names: Vec::new(),
            ask: false,
            kept: false,
            stay: false,
            forget: false,
            barrier: false,
            unsettled: false,
            named_in: HashMap::default(),
            prepared_in: HashMap::default(),
            stage: Stage::Nothing,
            waits: false,
            refuses: false,
            reported: false,
            looked: None,
            own: false,
        }
    }

    /// The tenant is somewhere else. Its statements are prepared anew there as they are here: those that were read for
    /// another isolation, or that name a channel as it was called before, would have another result.
    pub(super) fn moves(&mut self, to_another_isolation: bool, prefix: Option<&[u8]>) -> Result<(), Fault> {
        let outlived = |statement: &Statement| {
            to_another_isolation || prefix.is_some_and(|prefix| contains(&statement.rest, prefix))
        };
        if self.statements.get(b"").is_some_and(|unnamed| outlived(unnamed)) {
            self.statements.set(b"", None);
        }
        if self.statements.iter().any(outlived) {
            let hint = "Reconnect, and prepare statements anew.";
            return Err(Fault::new(
                "57P01",
                "the tenant has moved, and prepared statements mean something else now",
                hint,
            ));
        }
        Ok(())
    }

    /// Whether every answer has come.
    pub(super) fn is_answered(&self) -> bool {
        self.replies.are_in()
    }

    /// The transaction has ended.
    pub(super) fn rests(&mut self) {
        (self.unsettled, self.reported, self.refuses) = (false, false, false);
        self.stage = Stage::Nothing;
    }

    /// Gives back what only a session that works needs.
    pub(super) fn shrink(&mut self) {
        self.replies.shrink();
        self.looked = None;
    }

    /// What was under way has ended, and nobody waits for its answers.
    pub(super) fn server_is_gone(&mut self) {
        self.rests();
        (self.barrier, self.waits, self.forget) = (false, false, false);
    }

    /// What a transaction needs that begins with these messages, as far as they have come.
    pub(super) fn needs<'m>(&mut self, upcoming: impl Iterator<Item = (Header, &'m [u8])>) -> Need {
        let mut need = Need { settings: self.settings.clone(), draws: None, own: self.own };
        let mut note = |traces: &Traces| {
            need.own |= traces.own;
            if traces.sequences {
                need.draws = Some(self.client);
            }
        };
        for (nth, (header, body)) in upcoming.enumerate() {
            match Text::parse(header.tag, body).map(|text| text.text) {
                Some(text) if nth == 0 && header.tag == b'Q' && text.len() <= WORTH_REMEMBERING => {
                    let traces = Traces::of(text);
                    note(&traces);
                    self.looked = Some(Box::new(Looked { text: text.into(), traces }));
                }
                _ => self.with_traces(header.tag, body, &mut note),
            }
        }
        need
    }

    /// What a text may leave behind, which is known if it is the one that was looked at before.
    fn traces_of(&mut self, text: &[u8]) -> Traces {
        match self.looked.take() {
            Some(looked) if *looked.text == *text => looked.traces,
            _ => Traces::of(text),
        }
    }

    /// Whether a message has to wait for answers: for what an earlier group of messages makes of the statement that it names,
    /// or until there is a connection of the tenant's own login, before which everything that was sent on the one that serves
    /// many has to be answered.
    pub(super) fn has_to_wait(&mut self, tag: u8, body: &[u8], residue: &Residue, asked: bool) -> bool {
        self.is_undecided(tag, body) || self.needs_another_home(tag, body, residue, asked)
    }

    /// Whether it is worth looking.
    pub(super) fn may_have_to_wait(&self, residue: &Residue) -> bool {
        residue.serves().is_some() || !self.named_in.is_empty() || !self.prepared_in.is_empty()
    }

    fn is_undecided(&mut self, tag: u8, body: &[u8]) -> bool {
        if self.replies.len() == 0 || self.replies.is_skipping() || self.replies.are_doubtful() {
            self.named_in.clear();
            self.prepared_in.clear();
            return false;
        }
        let given_up = Text::parse(tag, body).and_then(|text| deallocated(text.text));
        let name = match tag {
            b'Q' => given_up.as_deref(),
            b'P' => split_name(body).map(|(name, _)| given_up.as_deref().filter(|_| name.is_empty()).unwrap_or(name)),
            b'B' => names_of_bind(body).map(|(_, name)| name),
            b'D' | b'C' => body.strip_prefix(b"S").and_then(|name| name.strip_suffix(b"\0")),
            _ => None,
        };
        let Some(name) = name else { return false };
        // The unnamed statement may be prepared over and over.
        let named = self.named_in.get(name).filter(|_| tag != b'P' || !name.is_empty());
        let prepared = self.statements.get(name).and_then(|statement| self.prepared_in.get(&statement.number));
        [named, prepared].into_iter().flatten().any(|group| self.replies.is_undecided(*group))
    }

    /// Notes that the group of messages which is being sent decides what a name means.
    fn decides(&mut self, name: &[u8]) {
        self.named_in.insert(name.into(), self.replies.group());
    }

    fn needs_another_home(&mut self, tag: u8, body: &[u8], residue: &Residue, asked: bool) -> bool {
        if residue.serves().is_none() || self.refuses || self.replies.is_skipping() || self.replies.are_doubtful() {
            self.waits = false;
            return false;
        }
        // Without a Sync behind them, or while the server waits for COPY data, there may be no answers.
        let answers = if self.replies.len() == 0 { !asked } else { self.replies.are_awaited() };
        self.waits = false;
        if answers {
            let mut own = false;
            self.with_traces(tag, body, |traces| own = traces.own);
            self.waits = own;
        }
        self.waits
    }

    /// Whether the session may be more than its settings say.
    pub(super) fn keeps_something(&self) -> bool {
        self.ask || self.forget || self.kept || self.stays()
    }

    /// The beginning of the transaction, if nothing else has happened in it.
    pub(super) fn beginning(&self) -> Option<&str> {
        match &self.stage {
            Stage::Begun(beginning) => Some(beginning),
            Stage::Nothing | Stage::Statements => None,
        }
    }

    /// What waits is refused.
    pub(super) fn refuse_what_waits(&mut self) {
        (self.waits, self.refuses) = (false, true);
    }

    /// The text that a client has prepared under a name, as it goes to servers.
    pub(super) fn text_of(&self, name: &[u8]) -> Option<&[u8]> {
        self.statements.get(name).map(|statement| statement.text())
    }

    /// What a message's statement may leave behind.
    fn with_traces(&self, tag: u8, body: &[u8], look: impl FnOnce(&Traces)) {
        match tag {
            b'Q' | b'P' => {
                if let Some(text) = Text::parse(tag, body) {
                    look(&Traces::of(text.text));
                }
            }
            b'B' => {
                if let Some(statement) = names_of_bind(body).and_then(|(_, name)| self.statements.get(name)) {
                    look(&statement.traces);
                }
            }
            _ => {}
        }
    }

    /// Notes that a statement runs on the login that serves many.
    fn advance(&mut self, text: &[u8]) {
        let begins = self.stage == Stage::Nothing;
        self.stage = match beginning(text).filter(|_| begins) {
            Some(beginning) => Stage::Begun(beginning.to_owned()),
            None => Stage::Statements,
        };
    }

    /// Whether what the client sends next has to wait for answers.
    pub(super) fn is_barred(&mut self) -> bool {
        self.barrier &= self.replies.len() > 0;
        let bars = self.barrier && self.replies.are_awaited() || self.replies.len() > MOST_DUE;
        // Of answers that were taken for others nobody knows when they are in.
        bars && !self.replies.are_doubtful()
    }

    /// A `Parse` that is longer than it may be.
    pub(super) fn declines(&mut self, residue: &mut Residue) -> BytesMut {
        if self.replies.is_skipping() {
            return BytesMut::new();
        }
        let hint = "Send it in parts, or pass large values as parameters.";
        self.refuse("54000", "the statement is longer than the gateway prepares", hint, residue)
    }

    /// Whether the session has to be kept, as far as is known without asking.
    pub(super) fn stays(&self) -> bool {
        self.stay || self.replies.are_doubtful() || self.statements.weigh_on()
    }

    /// Sees a message of the client's that is on its way to the server, at least as much of it as says what it is about.
    pub(super) fn sends(&mut self, header: Header, body: &[u8], residue: &mut Residue) -> Instead {
        let tag = header.tag;
        if self.replies.is_skipping() && tag != b'S' {
            return None;
        }
        let instead = match tag {
            b'Q' => return self.query(body, residue),
            b'P' => return self.parse(body, residue),
            b'B' => self.bind(header, body, residue),
            b'D' => self.describe(body, residue),
            b'C' => return self.close(body, residue),
            // A function by its number, which may be any.
            b'F' => {
                self.ask = true;
                self.stage = Stage::Statements;
                None
            }
            _ => None,
        };
        self.replies.passed(tag);
        instead
    }

    fn query(&mut self, body: &[u8], residue: &mut Residue) -> Instead {
        // Whatever it says, it ends the unnamed statement.
        self.statements.set(b"", None);
        self.replies.ends(b"");
        residue.unnamed = None;
        let mut instead = None;
        if let Some(text) = Text::parse(b'Q', body) {
            let traces = self.traces_of(text.text);
            if residue.serves().is_some() {
                self.advance(text.text);
                if traces.own {
                    let mut out = BytesMut::new();
                    frontend::query(&mut out, &self.too_late());
                    self.replies.passed(b'Q');
                    return Some(out);
                }
            }
            self.notice(&traces);
            if deallocated(text.text).and_then(|name| self.statements.set(&name, None)).is_some() {
                let mut out = self.one_to_give_up();
                frontend::query(&mut out, &format!("DEALLOCATE {}", prepared::name(NONE)));
                instead = Some(out);
            }
        } else {
            // One that is too long to be kept together says anything.
            (self.ask, self.stay) = (true, true);
            self.stage = Stage::Statements;
        }
        self.replies.passed(b'Q');
        instead
    }

    fn parse(&mut self, body: &[u8], residue: &mut Residue) -> Instead {
        let Some((name, rest)) = split_name(body) else {
            // The server says what is wrong with it.
            self.replies.expect(Due::Parse(Change { name: Box::default(), before: None, number: None }));
            return None;
        };
        let text = Text::parse(b'P', body).map(|text| text.text).unwrap_or_default();
        if name.is_empty() && deallocated(text).and_then(|name| self.statements.set(&name, None)).is_some() {
            let mut out = self.one_to_give_up();
            frontend::parse(&mut out, &format!("DEALLOCATE {}", prepared::name(NONE)));
            residue.unnamed = None;
            self.statements.set(b"", None);
            self.replies.expect(Due::Parse(Change { name: Box::default(), before: None, number: None }));
            return Some(out);
        }
        // What it means under settings that are not known is nobody else's.
        let statement = if self.ask || self.unsettled {
            self.library.alone(rest, &self.settings, Traces::of(text))
        } else {
            self.library.find(rest, &self.settings, || Traces::of(text))
        };
        if residue.serves().is_some() && statement.traces.own {
            let refusal = self.too_late();
            return Some(self.refuse_in_words(&refusal, residue));
        }
        let number = statement.number;
        if name.is_empty() {
            self.decides(name);
            let before = self.statements.set(name, Some(statement));
            residue.unnamed = Some(number);
            self.replies.expect(Due::Parse(Change { name: name.into(), before, number: Some(number) }));
            return None;
        }
        if self.statements.get(name).is_some() {
            let shown = String::from_utf8_lossy(name);
            return Some(self.refuse(
                "42P05",
                &format!("prepared statement \"{shown}\" already exists"),
                "Close it first.",
                residue,
            ));
        }
        if !self.statements.has_room(body.len()) {
            let hint = "Close those that are not used any more, or connect with sindico.pool_mode=session.";
            return Some(self.refuse("54000", "this client has prepared as many statements as it may", hint, residue));
        }
        let mut out = BytesMut::new();
        self.decides(name);
        let before = self.statements.set(name, Some(Arc::clone(&statement)));
        let change = Change { name: name.into(), before, number: None };
        if residue.prepared.touch(number) {
            self.replies.expect(Due::Made(b'1', change));
        } else {
            self.make_room(number, residue, &mut out);
            self.prepared_in.insert(number, self.replies.group());
            frontend::parse_as(&mut out, &statement.name(), rest);
            self.replies.expect(Due::Parse(Change { number: Some(number), ..change }));
        }
        Some(out)
    }

    /// A `Parse` that the server refuses in these words.
    fn refuse(&mut self, sqlstate: &str, message: &str, hint: &str, residue: &mut Residue) -> BytesMut {
        self.refuse_in_words(&refusal(sqlstate, message, hint, false), residue)
    }

    /// What a statement becomes that comes too late in its transaction for the connection that it needs.
    fn too_late(&mut self) -> String {
        (self.refuses, self.own) = (false, true);
        refusal(
            "40001",
            "this statement needs a connection of the tenant's own login, and its transaction runs on another",
            "Run the transaction again: from now on this client has connections of the tenant's own login.",
            false,
        )
    }

    fn refuse_in_words(&mut self, refusal: &str, residue: &mut Residue) -> BytesMut {
        let mut out = BytesMut::new();
        frontend::parse(&mut out, refusal);
        residue.unnamed = None;
        let before = self.statements.get(b"").cloned();
        self.replies.expect(Due::Parse(Change { name: Box::default(), before, number: None }));
        out
    }

    fn bind(&mut self, header: Header, body: &[u8], residue: &mut Residue) -> Instead {
        let (portal, name) = names_of_bind(body)?;
        let Some(statement) = self.statements.get(name).cloned() else {
            let missing = header.body_len.saturating_sub(body.len());
            return self.end_of_others(name, residue).map(|out| with_header(out, b'B', missing, &[body]));
        };
        if residue.serves().is_some() {
            self.advance(statement.text());
            if statement.traces.own {
                let refusal = self.too_late();
                let out = self.refuse_in_words(&refusal, residue);
                self.replies.passed(b'B');
                let missing = header.body_len.saturating_sub(body.len());
                return Some(with_header(out, b'B', missing, &[body]));
            }
        }
        self.notice(&statement.traces);
        let mut out = BytesMut::new();
        let renamed = self.provide_as(name, &statement, residue, &mut out);
        if out.is_empty() && renamed.is_none() {
            return None;
        }
        let rest = body.get(portal.len() + 1 + name.len() + 1..).unwrap_or_default();
        let name = renamed.unwrap_or_default();
        let missing = header.body_len.saturating_sub(body.len());
        Some(with_header(out, b'B', missing, &[portal, b"\0", name.as_bytes(), b"\0", rest]))
    }

    fn describe(&mut self, body: &[u8], residue: &mut Residue) -> Instead {
        let name = body.strip_prefix(b"S").and_then(|name| name.strip_suffix(b"\0"))?;
        let Some(statement) = self.statements.get(name).cloned() else {
            return self.end_of_others(name, residue).map(|out| with_header(out, b'D', 0, &[body]));
        };
        let mut out = BytesMut::new();
        let renamed = self.provide_as(name, &statement, residue, &mut out);
        if out.is_empty() && renamed.is_none() {
            return None;
        }
        let name = renamed.unwrap_or_default();
        Some(with_header(out, b'D', 0, &[b"S", name.as_bytes(), b"\0"]))
    }

    fn close(&mut self, body: &[u8], residue: &mut Residue) -> Instead {
        let name = body.strip_prefix(b"S").and_then(|name| name.strip_suffix(b"\0"));
        if let Some(name) = name.filter(|name| self.statements.get(name).is_some()) {
            self.decides(name);
            let before = self.statements.set(name, None);
            if !name.is_empty() {
                // The server keeps it for whoever prepares the same text next.
                self.replies.expect(Due::Made(b'3', Change { name: name.into(), before, number: None }));
                return Some(BytesMut::new());
            }
        }
        if name.is_some_and(<[u8]>::is_empty) {
            // Whosever it was.
            self.replies.ends(b"");
            residue.unnamed = None;
        }
        self.replies.passed(b'C');
        None
    }

    /// Sees to it that the server has the statement that a name means; gives the name that it has there, if another.
    fn provide_as(
        &mut self,
        name: &[u8],
        statement: &Statement,
        residue: &mut Residue,
        out: &mut BytesMut,
    ) -> Option<String> {
        if !name.is_empty() {
            self.provide(statement, residue, out);
            return Some(statement.name());
        }
        if residue.unnamed != Some(statement.number) {
            frontend::parse_as(out, "", &statement.rest);
            self.decides(name);
            residue.unnamed = Some(statement.number);
            self.replies.expect(Due::OwnUnnamed);
        }
        None
    }

    /// What has the server give up an unnamed statement that is another client's, for one that has none.
    fn end_of_others(&mut self, name: &[u8], residue: &mut Residue) -> Option<BytesMut> {
        let others = name.is_empty() && residue.unnamed.take().is_some();
        others.then(|| {
            let mut out = BytesMut::new();
            frontend::close_statement(&mut out, "");
            self.replies.expect(Due::OwnClose(NONE));
            out
        })
    }

    /// What has the server prepare something, in whichever state it is, that may be given up.
    fn one_to_give_up(&mut self) -> BytesMut {
        let (mut out, name) = (BytesMut::new(), prepared::name(NONE));
        frontend::close_statement(&mut out, &name);
        frontend::parse_as(&mut out, &name, b"ROLLBACK\0\0\0");
        self.replies.expect(Due::OwnClose(NONE));
        self.replies.expect(Due::OwnParse(NONE));
        out
    }

    fn provide(&mut self, statement: &Statement, residue: &mut Residue, out: &mut BytesMut) {
        if residue.prepared.touch(statement.number) {
            return;
        }
        self.make_room(statement.number, residue, out);
        self.prepared_in.insert(statement.number, self.replies.group());
        frontend::parse_as(out, &statement.name(), &statement.rest);
        self.replies.expect(Due::OwnParse(statement.number));
    }

    fn make_room(&mut self, number: u64, residue: &mut Residue, out: &mut BytesMut) {
        if let Some(oldest) = residue.prepared.insert(number, PER_SERVER) {
            frontend::close_statement(out, &prepared::name(oldest));
            self.replies.expect(Due::OwnClose(oldest));
        }
    }

    /// Notes what a statement may leave behind.
    fn notice(&mut self, traces: &Traces) {
        if traces.is_nothing() {
            return;
        }
        self.ask |= traces.ask || traces.ends && self.kept;
        self.barrier |= traces.wipes;
        self.unsettled |= traces.local;
        self.stay |= traces.stay || traces.sequences;
        // What it draws from here on it may ask for again.
        self.own |= traces.sequences;
        for name in &traces.names {
            if !self.names.contains(name) {
                self.names.push(name.clone());
            }
        }
        self.stay |= self.names.len() > NAMES;
    }

    /// Sees a message of the server's, whole if it is one of those that matter, and says whether it is for the client.
    pub(super) fn hears(&mut self, tag: u8, body: &[u8], residue: &mut Residue) -> bool {
        let mut undone = Vec::new();
        let fate = self.replies.received(tag, &mut undone);
        for undo in undone {
            match undo {
                Undo::Name(name, before) => drop(self.statements.set(&name, before)),
                Undo::Absent(number) => residue.prepared.remove(number),
                Undo::Unnamed => residue.unnamed = None,
                Undo::Present(NONE) => {}
                Undo::Present(number) => drop(residue.prepared.insert(number, usize::MAX)),
            }
        }
        match tag {
            b'S' => self.reported = true,
            b'C' if matches!(body, b"DEALLOCATE ALL\0" | b"DISCARD ALL\0") => {
                self.statements.clear_named();
                residue.prepared.clear();
                // Locks and what was drawn from sequences have gone.
                self.stay &= body.starts_with(b"DEALLOCATE");
            }
            // A table may have changed under a statement, which then fails on every connection that has it.
            b'E' if wire::report::sqlstate(body) == Some(b"0A000") => {
                self.statements.retire();
                self.forget = true;
            }
            // One is not there, or there, that should not be.
            b'E' if matches!(wire::report::sqlstate(body), Some(b"26000" | b"42P05")) => self.forget = true,
            _ => {}
        }
        fate == Fate::Pass
    }

    /// What the client is told now without the server's saying so.
    pub(super) fn says(&mut self) -> Option<BytesMut> {
        self.replies.made()
    }
}
