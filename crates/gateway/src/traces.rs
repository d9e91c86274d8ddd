//! What a statement may leave in its session for later transactions.
//!
//! It decides whether síndico asks the server what has become of the session before another client uses it, so it only
//! has to be cautious: a word where none is meant costs a question. What no word tells, because a function of the app or
//! an EXECUTE hides it, meets the same tenant at most; every key to other tenants' data is in the login.

/// Settings of the app's own making that a text names, at most; beyond them nobody keeps count.
const NAMES: usize = 16;

/// What running a text may leave behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and together they are no state")]
pub(crate) struct Traces {
    /// Settings, cursors, temporary tables, channels or prepared statements: the server can be asked.
    pub(crate) ask: bool,
    /// Something that the server does not tell: locks of the session, or settings by a name that is computed.
    pub(crate) stay: bool,
    /// It may end what the session keeps.
    pub(crate) ends: bool,
    /// It ends what others have set up: DISCARD, DEALLOCATE.
    pub(crate) wipes: bool,
    /// It sets something until the end of the transaction.
    pub(crate) local: bool,
    /// It reads what earlier statements of the session have drawn from sequences.
    pub(crate) sequences: bool,
    /// It needs what the login that serves many does not have, or would end whom that serves.
    pub(crate) own: bool,
    /// Settings of the app's own making that it names, in lower case.
    pub(crate) names: Vec<String>,
}

/// Statements that leave something, by their first word.
const FIRST: [&str; 13] = [
    "SET",
    "RESET",
    "LISTEN",
    "UNLISTEN",
    "PREPARE",
    "DEALLOCATE",
    "DISCARD",
    "LOAD",
    "DECLARE",
    "CLOSE",
    "DO",
    "CALL",
    "CREATE",
];

/// Statements that the login which serves many is not for, by their first word: some keep a session for themselves, some
/// are refused there with another reason than elsewhere, and the last ends whom a session serves.
const OWN: [&str; 20] = [
    "LISTEN", "UNLISTEN", "NOTIFY", "PREPARE", "EXECUTE", "LOAD", "DO", "CREATE", "ALTER", "DROP", "GRANT", "REVOKE",
    "COMMENT", "SECURITY", "REINDEX", "REFRESH", "CLUSTER", "VACUUM", "ANALYZE", "DISCARD",
];

/// Functions and words of which the same is true wherever they stand, and how names begin of which it is.
const OWN_ANYWHERE: [&str; 15] = [
    "nextval",
    "setval",
    "currval",
    "lastval",
    "pg_notify",
    "pg_cancel_backend",
    "pg_terminate_backend",
    "temp",
    "temporary",
    "pg_temp",
    "loread",
    "lowrite",
    "hold",
    "pg_my_temp_schema",
    "pg_listening_channels",
];
const OWN_PREFIXES: [&str; 3] = ["pg_advisory_", "pg_try_advisory_", "lo_"];

/// Statements that may end what a session keeps: a temporary table goes with its transaction, if it was told to.
const ENDING: [&str; 5] = ["DROP", "COMMIT", "END", "ROLLBACK", "ABORT"];

/// Functions and words that leave something wherever they stand.
const ANYWHERE: [(&str, Leaves); 12] = [
    ("set_config", Leaves::Setting),
    ("setseed", Leaves::Untold),
    ("pg_advisory_lock", Leaves::Untold),
    ("pg_advisory_lock_shared", Leaves::Untold),
    ("pg_try_advisory_lock", Leaves::Untold),
    ("pg_try_advisory_lock_shared", Leaves::Untold),
    ("temp", Leaves::Told),
    ("temporary", Leaves::Told),
    ("pg_temp", Leaves::Told),
    ("pg_settings", Leaves::Told),
    ("currval", Leaves::Drawn),
    ("lastval", Leaves::Drawn),
];

/// The same without what they leave.
const LEAVING: [&str; ANYWHERE.len()] = {
    let mut names = [""; ANYWHERE.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = ANYWHERE[at].0;
        at += 1;
    }
    names
};

#[derive(Clone, Copy)]
enum Leaves {
    Told,
    Untold,
    Setting,
    Drawn,
}

/// By length, with which letters of the alphabet words begin that mean something here. Every statement is read for them,
/// and nearly none of its words needs to be compared with any.
struct Initials([u32; 32]);

impl Initials {
    const NONE: Self = Self([0; 32]);
    const FIRST: Self = Self::NONE.with(&FIRST).with(&OWN).with(&ENDING);
    const ANYWHERE: Self = Self::NONE.with(&OWN_ANYWHERE).with(&LEAVING);

    const fn with(mut self, words: &[&str]) -> Self {
        let mut rest = words;
        while let [word, others @ ..] = rest {
            if let Some(initial) = word.as_bytes().first() {
                self.0[Self::row(word.len())] |= Self::bit(*initial);
            }
            rest = others;
        }
        self
    }

    const fn row(len: usize) -> usize {
        len % 32
    }

    /// Letters have a bit in either case, and whatever shares it is told apart by being compared.
    const fn bit(initial: u8) -> u32 {
        1 << (initial % 32)
    }

    fn may_have(&self, word: &[u8]) -> bool {
        word.first().is_some_and(|initial| self.0[Self::row(word.len())] & Self::bit(*initial) != 0)
    }
}

impl Traces {
    /// Of a text as a client sent it.
    pub(crate) fn of(text: &[u8]) -> Self {
        let mut traces = Self::default();
        let mut words = Words { text, at: 0, first: true };
        while let Some(word) = words.next() {
            if word.first && Initials::FIRST.may_have(word.text) {
                traces.begin(word.text, &words);
            }
            traces.own |= OWN_PREFIXES.iter().any(|prefix| begins_with(word.text, prefix));
            if !Initials::ANYWHERE.may_have(word.text) {
                continue;
            }
            traces.own |= is_among(&OWN_ANYWHERE, word.text);
            let known = ANYWHERE.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(word.text));
            match known {
                Some((_, Leaves::Told)) => traces.ask = true,
                Some((_, Leaves::Untold)) => traces.stay = true,
                Some((_, Leaves::Drawn)) => traces.sequences = true,
                Some((_, Leaves::Setting)) => {
                    traces.ask = true;
                    traces.configure(words.rest());
                }
                None => {}
            }
        }
        // The other login could not be given up for it any more.
        traces.own |= traces.stay;
        traces
    }

    /// Whether it leaves nothing.
    pub(crate) fn is_nothing(&self) -> bool {
        !(self.ask || self.stay || self.sequences || self.ends || self.wipes || self.local || self.own)
    }

    fn begin(&mut self, first: &[u8], words: &Words<'_>) {
        self.ends |= is_among(&ENDING, first);
        self.wipes |= is_among(&["DISCARD", "DEALLOCATE"], first);
        self.own |= is_among(&OWN, first);
        if !is_among(&FIRST, first) {
            return;
        }
        if first.eq_ignore_ascii_case(b"RESET") {
            let mut next = Words { text: words.text, at: words.at, first: false };
            // Any other setting is nobody's identity.
            let comment = next.rest().split(|byte| *byte == b';').next().unwrap_or_default();
            self.own |= comment.iter().any(|byte| matches!(byte, b'/' | b'-'));
            self.own |= next.next().is_none_or(|what| is_among(&["ALL", "ROLE", "SESSION"], what.text));
        }
        if !first.eq_ignore_ascii_case(b"SET") {
            // Most of what is created lasts; what is temporary says so.
            self.ask |= !first.eq_ignore_ascii_case(b"CREATE");
            return;
        }
        let mut next = Words { text: words.text, at: words.at, first: false };
        // Where a comment or another quote stands in the name, it is not read.
        let whole = next.rest().split(|byte| matches!(byte, b'=' | b';')).next().unwrap_or_default();
        if whole.windows(2).any(|pair| matches!(pair, b"/*" | b"--" | b"U&" | b"u&")) {
            (self.ask, self.stay) = (true, true);
            return;
        }
        let Some(name) = next.next() else { return };
        self.local |= name.text.eq_ignore_ascii_case(b"LOCAL");
        if is_among(&["LOCAL", "TRANSACTION", "CONSTRAINTS"], name.text) {
            return;
        }
        self.ask = true;
        let name = if name.text.eq_ignore_ascii_case(b"SESSION") { next.next() } else { Some(name) };
        // Roles, and `SET SESSION AUTHORIZATION`.
        self.own |= name.as_ref().is_some_and(|name| is_among(&["ROLE", "AUTHORIZATION"], name.text));
        // What it sets cannot be read.
        self.stay |= name.as_ref().is_some_and(|name| name.text.eq_ignore_ascii_case(b"seed"));
        let Some(mut name) = name.map(|name| name.text.to_vec()) else { return };
        let mut parts = 1;
        while next.rest().iter().find(|byte| !matches!(byte, b'"' | b' ')) == Some(&b'.')
            && let Some(part) = next.next()
        {
            name.push(b'.');
            name.extend_from_slice(part.text);
            parts += 1;
        }
        if parts > 1 {
            self.name(&name);
        }
    }

    /// What stands behind `set_config`.
    fn configure(&mut self, rest: &[u8]) {
        let rest = rest.trim_ascii_start();
        let literal = rest.strip_prefix(b"(").map(<[u8]>::trim_ascii_start).and_then(|rest| rest.strip_prefix(b"'"));
        let end = literal.and_then(|rest| rest.iter().position(|byte| *byte == b'\''));
        let name = literal.zip(end).and_then(|(rest, end)| {
            let behind = rest.get(end + 1..).unwrap_or_default().trim_ascii_start();
            rest.get(..end).filter(|_| behind.starts_with(b","))
        });
        self.local = true;
        match name {
            Some(name) if name.contains(&b'.') => self.name(name),
            Some(_) => {}
            None => self.stay = true,
        }
    }

    fn name(&mut self, name: &[u8]) {
        match str::from_utf8(name) {
            Ok(name) if self.names.len() < NAMES => self.names.push(name.to_lowercase()),
            _ => self.stay = true,
        }
    }
}

fn is_among(known: &[&str], word: &[u8]) -> bool {
    known.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(word))
}

fn begins_with(word: &[u8], prefix: &str) -> bool {
    // Most words are told from all prefixes by one byte.
    let underscore = word.get(2) == Some(&b'_');
    underscore && word.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// Which bytes names are made of.
const IN_NAMES: [bool; 256] = {
    let (mut table, mut byte) = ([true; 256], 0);
    while byte < 0x80_u8 {
        table[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'_';
        byte += 1;
    }
    table
};

/// The words of a text, as far as it needs telling: comments and strings are read as if they were SQL.
struct Words<'t> {
    text: &'t [u8],
    at: usize,
    /// Whether the next word may begin a statement.
    first: bool,
}

struct Word<'t> {
    text: &'t [u8],
    first: bool,
}

impl<'t> Words<'t> {
    fn rest(&self) -> &'t [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn next(&mut self) -> Option<Word<'t>> {
        let is_name = |byte: u8| IN_NAMES[usize::from(byte)];
        while let Some(byte) = self.text.get(self.at).copied().filter(|byte| !is_name(*byte)) {
            // Behind the end of a comment a statement may begin.
            self.first |= matches!(byte, b';' | b'\n' | b'\r' | b'/');
            self.at += 1;
        }
        let rest = self.rest();
        let len = rest.iter().position(|byte| !is_name(*byte)).unwrap_or(rest.len());
        let text = rest.get(..len).filter(|text| !text.is_empty())?;
        self.at += len;
        Some(Word { text, first: std::mem::take(&mut self.first) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_with_its_transaction_leaves_nothing() {
        for text in [
            "SELECT 1",
            "UPDATE t SET a = 1 WHERE id = $1",
            "BEGIN; SET TRANSACTION READ ONLY; SET CONSTRAINTS ALL DEFERRED",
            "INSERT INTO holdings VALUES (1)",
            "FETCH 10 FROM c",
            "",
        ] {
            assert!(Traces::of(text.as_bytes()).is_nothing(), "{text}");
        }
    }

    #[test]
    fn the_server_can_be_asked_of_most() {
        for text in [
            "SET TimeZone = 'UTC'",
            " /* x */ set session statement_timeout to 5",
            "-- x\nRESET ALL",
            "SELECT 1; LISTEN c",
            "PREPARE p AS SELECT 1",
            "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
            "CREATE TEMP TABLE t (a int)",
            "SELECT 1 INTO TEMPORARY x",
            "DO $$ BEGIN END $$",
            "CALL p()",
            "DISCARD TEMP",
            "SELECT set_config('TimeZone', 'UTC', false)",
        ] {
            let Traces { ask, stay, sequences, names, .. } = Traces::of(text.as_bytes());
            assert!(ask && !stay && !sequences && names.is_empty(), "{text}");
        }
    }

    #[test]
    fn settings_of_the_apps_own_are_named() {
        for (text, name) in [
            ("SET app.user = '7'", "app.user"),
            ("SET SESSION App.User TO 7", "app.user"),
            ("SET \"app\".\"user\" = 7", "app.user"),
            ("SELECT set_config( 'app.user', $1, false)", "app.user"),
            ("SET app.user.id = 7", "app.user.id"),
        ] {
            let traces = Traces::of(text.as_bytes());
            assert!(traces.ask && !traces.stay, "{text}");
            assert_eq!(traces.names, [name], "{text}");
        }
    }

    #[test]
    fn of_some_only_the_session_knows() {
        for text in [
            "SELECT pg_advisory_lock(1)",
            "SELECT set_config($1, $2, false)",
            "SELECT set_config('app.' || $1, $2, false)",
            "SET /* x */ app.user = 1",
            "SELECT setseed(0.5)",
            "SET seed = 0.5",
        ] {
            assert!(Traces::of(text.as_bytes()).stay, "{text}");
        }
        assert!(Traces::of(b"SELECT currval('s')").sequences);
        for text in [
            "SELECT 1; discard all",
            "select PG_ADVISORY_XACT_LOCK(1)",
            "SELECT nextval('s')",
            "SET ROLE x",
            "SET SESSION AUTHORIZATION x",
            "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
            "SELECT lo_get(1)",
        ] {
            assert!(Traces::of(text.as_bytes()).own, "{text}");
        }
        for text in [
            "SET TimeZone = 'UTC'",
            "SELECT threshold, logs FROM t",
            "BEGIN",
            "CALL p()",
            "COPY t FROM STDIN",
            "DECLARE c CURSOR FOR SELECT 1",
        ] {
            assert!(!Traces::of(text.as_bytes()).own, "{text}");
        }
        assert!(Traces::of(b"DROP TABLE t").ends && Traces::of(b"SELECT 1; end").ends);
    }
}
