//! PostgreSQL in miniature: what a server answers to each message (PostgreSQL manual, 55.2), and in which state that leaves
//! it. It knows nothing of the gateway, so a client that speaks with it alone is told what it has to be told through one.

mod statements;

use std::collections::{BTreeMap, HashMap};

use self::statements::{ends, rows, understood};
use super::frames::{self, TO_CLIENT, TO_SERVER, put, take, text};

/// Messages that a server sends without having been asked.
pub(super) const UNASKED: &[u8] = b"NAS";

/// A statement that can be run, and how far it is.
#[derive(Debug, Clone)]
struct Portal {
    text: Vec<u8>,
    given: usize,
}

/// COPY data is coming in.
#[derive(Debug, Clone, Copy)]
struct Copying {
    simple: bool,
    /// It fails at the first row.
    bad: bool,
}

/// One server's side of a connection.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and together they are no state")]
pub(super) struct Backend {
    /// What has come and is not read yet.
    inbox: Vec<u8>,
    /// What it has said and nobody has taken yet.
    pub(super) out: Vec<u8>,
    statements: HashMap<Vec<u8>, Vec<u8>>,
    portals: HashMap<Vec<u8>, Portal>,
    /// As `ReadyForQuery` says it.
    status: u8,
    skipping: bool,
    copying: Option<Copying>,
    pub(super) settings: BTreeMap<String, String>,
    /// Settings from before the transaction, and before a `SET LOCAL`.
    before: Option<BTreeMap<String, String>>,
    local: Option<BTreeMap<String, String>>,
    /// The session keeps something that settings do not tell.
    pub(super) keeps: bool,
    /// It has nothing more to say, and closes.
    pub(super) gone: bool,
    /// It has said what no server says.
    pub(super) raves: bool,
    /// Something happened that a gateway that pools need not do likewise.
    pub(super) peculiar: bool,
    /// The client whose turn it is: a number that rows bear.
    pub(super) turn: u32,
    rows: u32,
    /// Texts that could not be prepared under a name.
    refused: Vec<Vec<u8>>,
    /// A statement has ended all prepared ones, and no Sync has followed.
    wiped: bool,
    /// Questions that it has taken, whatever it made of them, and `CopyInResponse` it has given.
    pub(super) questions: u32,
    pub(super) copied: bool,
    /// What it was sent that no client may send.
    pub(super) broken: Option<String>,
}

impl Backend {
    pub(super) fn new(turn: u32) -> Self {
        Self {
            inbox: Vec::new(),
            out: Vec::new(),
            statements: HashMap::new(),
            portals: HashMap::new(),
            status: b'I',
            skipping: false,
            copying: None,
            settings: BTreeMap::new(),
            before: None,
            local: None,
            keeps: false,
            gone: false,
            raves: false,
            peculiar: false,
            turn,
            rows: 0,
            refused: Vec::new(),
            wiped: false,
            questions: 0,
            copied: false,
            broken: None,
        }
    }

    /// Takes in what has arrived.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        self.inbox.extend(bytes);
    }

    /// Bytes of a message that has not come whole.
    pub(super) fn pending(&self) -> usize {
        self.inbox.len()
    }

    /// Whether another client could go on here: outside of a transaction, and waiting for nothing.
    pub(super) fn is_idle(&self) -> bool {
        self.status == b'I' && !self.skipping && self.copying.is_none() && !self.gone
    }

    pub(super) fn has_statement(&self, name: &[u8]) -> bool {
        self.statements.contains_key(name)
    }

    /// Gives up statements without being asked in messages.
    pub(super) fn forget(&mut self, name: &[u8]) {
        self.statements.remove(name);
    }

    /// Another client has prepared something.
    pub(super) fn prepare_for_others(&mut self) {
        self.statements.insert(Vec::new(), b"SELECT of others".to_vec());
        self.portals.clear();
    }

    /// Reads one message, if one is there.
    pub(super) fn work(&mut self) -> bool {
        if self.gone || self.broken.is_some() {
            return false;
        }
        match take(&mut self.inbox, TO_SERVER) {
            Ok(Some((tag, body))) => self.answer(tag, &body),
            Ok(None) => return false,
            Err(what) => {
                self.broken = Some(what);
                return false;
            }
        }
        true
    }

    fn answer(&mut self, tag: u8, body: &[u8]) {
        self.questions += u32::from(b"QSF".contains(&tag));
        if tag == b'X' || tag == b'p' {
            self.broken = Some(format!("{:?}, which is nothing that a server is to hear", char::from(tag)));
            return;
        }
        if let Some(copying) = self.copying {
            return self.copy(copying, tag);
        }
        if self.skipping && tag != b'S' {
            // A gateway that does not know yet takes the unnamed statement for ended.
            self.peculiar |= b"QC".contains(&tag);
            return;
        }
        // What a gateway believes prepared until it hears of the end is not told apart in one group of messages.
        self.peculiar |= self.wiped && b"PBDC".contains(&tag);
        let done = match tag {
            b'Q' => {
                self.query(body);
                return;
            }
            b'P' => self.parse(body),
            b'B' => self.bind(body),
            b'D' => self.describe(body),
            b'E' => self.execute(body),
            b'C' => self.close(body),
            b'S' => {
                (self.skipping, self.wiped) = (false, false);
                self.ready();
                return;
            }
            b'F' => {
                if self.status == b'E' {
                    self.fail("25P02");
                } else {
                    put(&mut self.out, b'V', b"\0\0\0\x014");
                }
                self.ready();
                return;
            }
            // Flush, and COPY data that nobody waits for.
            _ => Ok(()),
        };
        if let Err(sqlstate) = done {
            self.fail(sqlstate);
            self.skipping = true;
        }
    }

    fn copy(&mut self, Copying { simple, bad }: Copying, tag: u8) {
        match tag {
            b'd' if !bad => return,
            b'H' | b'S' => return,
            b'd' => {
                self.peculiar |= !self.is_told_the_end();
                self.fail("22P04");
            }
            b'c' => put(&mut self.out, b'C', b"COPY 1\0"),
            b'f' => self.fail("57014"),
            // It is in the middle of reading a message, and out of step.
            _ => return self.end("08P01"),
        }
        self.copying = None;
        if simple {
            self.ready();
        } else {
            self.skipping = tag != b'c';
        }
    }

    /// Whether the client says that its data ends before it says anything else. Whoever does not has either seen the COPY
    /// fail, or goes on in a way that would be wrong had it not.
    fn is_told_the_end(&self) -> bool {
        frames::all(self.inbox.clone(), TO_SERVER).is_ok_and(|(messages, _)| {
            let next = messages.iter().map(|(tag, _)| *tag).find(|tag| !b"dH".contains(tag));
            next.is_none_or(|tag| b"cf".contains(&tag))
        })
    }

    fn query(&mut self, body: &[u8]) {
        self.statements.remove(&b""[..]);
        self.portals.remove(&b""[..]);
        let ran = match text(body) {
            Some((sql, b"")) => self.run_all(sql),
            _ => Err("08P01"),
        };
        if let Err(sqlstate) = ran {
            self.fail(sqlstate);
        }
        if self.copying.is_none() && !self.gone {
            self.ready();
        }
    }

    fn run_all(&mut self, sql: &[u8]) -> Result<(), &'static str> {
        understood(sql)?;
        let parts: Vec<&[u8]> = sql.split(|byte| *byte == b';').collect();
        let statements: Vec<&[u8]> = parts.into_iter().filter(|part| !part.trim_ascii().is_empty()).collect();
        if statements.is_empty() {
            put(&mut self.out, b'I', b"");
        }
        for sql in statements {
            let rows = rows(sql);
            if rows > 0 && self.status != b'E' {
                self.describe_rows();
            }
            self.run(sql, true)?;
            for row in 0..rows {
                self.row(sql, row);
            }
            if rows > 0 {
                self.complete(&format!("SELECT {rows}"));
            }
        }
        Ok(())
    }

    fn parse(&mut self, body: &[u8]) -> Result<(), &'static str> {
        let (name, rest) = text(body).ok_or("08P01")?;
        let (sql, types) = text(rest).ok_or("08P01")?;
        let &[a, b, ref types @ ..] = types else { return Err("08P01") };
        if types.len() != 4 * usize::from(u16::from_be_bytes([a, b])) {
            return Err("08P01");
        }
        if name.is_empty() {
            // Even if there will be no other.
            self.statements.remove(name);
        }
        // PostgreSQL looks at the text before; either way it is refused.
        if !name.is_empty() && self.has_statement(name) {
            return Err("42P05");
        }
        let read = if sql.contains(&b';') { Err("42601") } else { understood(sql) };
        if read.is_err() && !name.is_empty() {
            // A gateway that has one text prepared under two names learns of that once.
            self.peculiar |= self.refused.iter().any(|refused| refused == sql);
            self.refused.push(sql.to_vec());
        }
        read?;
        if self.status == b'E' && !ends(sql) {
            // A gateway that knows the text need not ask.
            self.peculiar = true;
            return Err("25P02");
        }
        self.statements.insert(name.to_vec(), sql.to_vec());
        put(&mut self.out, b'1', b"");
        Ok(())
    }

    fn bind(&mut self, body: &[u8]) -> Result<(), &'static str> {
        let (portal, rest) = text(body).ok_or("08P01")?;
        let (name, values) = text(rest).ok_or("08P01")?;
        let sql = self.statements.get(name).ok_or("26000")?.clone();
        if self.status == b'E' && !ends(&sql) {
            return Err("25P02");
        }
        if values != [0; 6] {
            return Err("08P01");
        }
        if !portal.is_empty() && self.portals.contains_key(portal) {
            return Err("42P03");
        }
        self.portals.insert(portal.to_vec(), Portal { text: sql, given: 0 });
        put(&mut self.out, b'2', b"");
        Ok(())
    }

    fn describe(&mut self, body: &[u8]) -> Result<(), &'static str> {
        let (&kind, rest) = body.split_first().ok_or("08P01")?;
        let (name, b"") = text(rest).ok_or("08P01")? else { return Err("08P01") };
        let sql = match kind {
            b'S' => self.statements.get(name).ok_or("26000")?.clone(),
            b'P' => self.portals.get(name).ok_or("34000")?.text.clone(),
            _ => return Err("08P01"),
        };
        if self.status == b'E' && rows(&sql) > 0 {
            return Err("25P02");
        }
        if kind == b'S' {
            put(&mut self.out, b't', b"\0\0");
        }
        if rows(&sql) > 0 {
            self.describe_rows();
        } else {
            put(&mut self.out, b'n', b"");
        }
        Ok(())
    }

    fn execute(&mut self, body: &[u8]) -> Result<(), &'static str> {
        let (name, limit) = text(body).ok_or("08P01")?;
        let limit = u32::from_be_bytes(limit.try_into().map_err(|_| "08P01")?);
        let Portal { text: sql, given } = self.portals.get(name).ok_or("34000")?.clone();
        if sql.trim_ascii().is_empty() {
            put(&mut self.out, b'I', b"");
            return Ok(());
        }
        // The name in the text is the client's, and the gateway knows the statement by another.
        self.peculiar |= sql.starts_with(b"DEALLOCATE") && !sql.ends_with(b"ALL");
        let rows = rows(&sql);
        if rows == 0 && given > 0 {
            return Err("55000");
        }
        self.run(&sql, false)?;
        self.wiped |= matches!(sql.trim_ascii(), b"DEALLOCATE ALL" | b"DISCARD ALL");
        let until = match usize::try_from(limit) {
            Ok(limit) if limit > 0 => rows.min(given + limit),
            _ => rows,
        };
        for row in given..until {
            self.row(&sql, row);
        }
        if let Some(portal) = self.portals.get_mut(name) {
            portal.given = until.max(1);
        }
        if until < rows {
            put(&mut self.out, b's', b"");
        } else if rows > 0 {
            self.complete(&format!("SELECT {}", until - given.min(until)));
        }
        Ok(())
    }

    fn close(&mut self, body: &[u8]) -> Result<(), &'static str> {
        let (&kind, rest) = body.split_first().ok_or("08P01")?;
        let (name, b"") = text(rest).ok_or("08P01")? else { return Err("08P01") };
        match kind {
            b'S' => drop(self.statements.remove(name)),
            b'P' => drop(self.portals.remove(name)),
            _ => return Err("08P01"),
        }
        put(&mut self.out, b'3', b"");
        Ok(())
    }

    /// A transaction has ended.
    fn over(&mut self, kept: bool) {
        let (before, local) = (self.before.take(), self.local.take());
        if let Some(settings) = if kept { local } else { before } {
            self.settings = settings;
        }
        self.status = b'I';
        self.portals.clear();
    }

    fn ready(&mut self) {
        if self.status == b'I' {
            self.over(true);
        }
        let status = self.status;
        put(&mut self.out, b'Z', &[status]);
    }

    fn fail(&mut self, sqlstate: &str) {
        if self.status == b'I' {
            self.over(false);
        } else {
            self.status = b'E';
        }
        put(&mut self.out, b'E', format!("SERROR\0VERROR\0C{sqlstate}\0Mno\0\0").as_bytes());
    }

    /// Says why it goes.
    pub(super) fn end(&mut self, sqlstate: &str) {
        put(&mut self.out, b'E', format!("SFATAL\0VFATAL\0C{sqlstate}\0Mbye\0\0").as_bytes());
        self.gone = true;
    }

    fn complete(&mut self, tag: &str) {
        put(&mut self.out, b'C', format!("{tag}\0").as_bytes());
    }

    fn describe_rows(&mut self) {
        put(&mut self.out, b'T', b"\0\x02turn\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0text\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0");
    }

    /// A row tells whose turn it is, and how many were given before, in its first column.
    fn row(&mut self, sql: &[u8], row: usize) {
        self.rows += 1;
        let mark = format!("{} {}", self.turn, self.rows);
        let zone = self.settings.get("TimeZone").map_or("default", String::as_str);
        let mut value = format!("{} {row} {zone}", String::from_utf8_lossy(sql.trim_ascii()));
        if sql.ends_with(b"wide") {
            value.push_str(&"w".repeat(9_000));
        }
        let mut body = b"\0\x02".to_vec();
        for column in [mark, value] {
            body.extend(u32::try_from(column.len()).unwrap_or_default().to_be_bytes());
            body.extend(column.as_bytes());
        }
        put(&mut self.out, b'D', &body);
    }

    /// Whether what it has still to say is nothing but what servers say unasked.
    pub(super) fn says_nothing_but_asides(&self, begun: &[u8]) -> bool {
        let rest = [begun, &self.out].concat();
        frames::all(rest, TO_CLIENT)
            .is_ok_and(|(messages, rest)| rest.is_empty() && messages.iter().all(|(tag, _)| UNASKED.contains(tag)))
    }
}
