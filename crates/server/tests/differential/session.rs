//! Recorded sessions: text files with what a client says.
//!
//! A file begins with `-- app: …` and `-- covers: …`. Then come statements, each to the end of the line with its
//! semicolon, and lines for what no statement can say:
//!
//! | line | meaning |
//! |---|---|
//! | `\params ["a", null]` | parameters of the next statement; several such lines run it several times |
//! | `\copy-in COPY …;` | data follows, up to a line `\.` |
//! | `\copy-through COPY … TO …; COPY … FROM …;` | feeds what the first gives to the second, byte by byte |
//! | `\script` | up to `\end` one message with several statements, in the simple protocol always |
//! | `\session name` | goes on in another connection of the same tenant |
//! | `\notifications 2` | waits for so many |
//! | `\differs shared: why` | the next step is known to differ there; that it does is tested, too |

use std::fs;
use std::path::Path;

/// A recorded session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) file: String,
    pub(crate) app: String,
    pub(crate) covers: String,
    pub(crate) steps: Vec<Step>,
}

/// One thing that the client does, and waits for.
#[derive(Debug)]
pub(crate) struct Step {
    /// Line in the file, from 1.
    pub(crate) line: usize,
    pub(crate) connection: String,
    pub(crate) action: Action,
    /// Isolations in which the result is known to differ, and why.
    pub(crate) differs: Option<(Vec<String>, String)>,
}

#[derive(Debug)]
pub(crate) enum Action {
    /// A statement; once for each list of parameters, once without any.
    Statement {
        sql: String,
        params: Vec<Vec<Option<String>>>,
    },
    /// Several statements in one message.
    Script(String),
    CopyIn {
        sql: String,
        data: String,
    },
    CopyThrough {
        from: String,
        into: String,
    },
    Notifications(usize),
}

impl Session {
    /// All of a folder's sessions, in the order of their names.
    pub(crate) fn all(folder: &Path) -> Vec<Self> {
        let entries = fs::read_dir(folder).expect("recorded sessions");
        let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        let read = |path: &std::path::PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
            assert!(Path::new(&name).extension().is_some_and(|kind| kind == "session"), "{name} is no session");
            Self::parse(name, &fs::read_to_string(path).expect("text"))
        };
        files.iter().map(read).collect()
    }

    /// Steps that no file holds.
    pub(crate) fn of_statements(name: &str, statements: &[String]) -> Self {
        let step = |(at, sql): (usize, &String)| Step {
            line: at + 1,
            connection: "main".to_owned(),
            action: Action::Statement { sql: sql.clone(), params: Vec::new() },
            differs: None,
        };
        let steps = statements.iter().enumerate().map(step).collect();
        Self { file: name.to_owned(), app: String::new(), covers: String::new(), steps }
    }

    fn parse(file: String, text: &str) -> Self {
        let heading = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("-- {key}: ")));
            line.unwrap_or_else(|| panic!("{file} does not say -- {key}: …")).to_owned()
        };
        let (app, covers) = (heading("app"), heading("covers"));
        let mut reader = Reader { file: &file, lines: text.lines().enumerate(), connection: "main".to_owned() };
        let steps = reader.steps();
        assert!(!steps.is_empty(), "{file} says nothing");
        Self { file, app, covers, steps }
    }
}

struct Reader<'a> {
    file: &'a str,
    lines: std::iter::Enumerate<std::str::Lines<'a>>,
    connection: String,
}

impl<'a> Reader<'a> {
    fn steps(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        let (mut params, mut differs) = (Vec::new(), None);
        while let Some((at, line)) = self.lines.next() {
            let place = format!("{}:{}", self.file, at + 1);
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let action = match word {
                "" | "--" => continue,
                "\\session" => {
                    rest.clone_into(&mut self.connection);
                    continue;
                }
                "\\params" => {
                    params.push(serde_json::from_str(rest).unwrap_or_else(|error| panic!("{place}: {error}")));
                    continue;
                }
                "\\differs" => {
                    let (isolations, why) = rest.split_once(": ").unwrap_or_else(|| panic!("{place}: no reason"));
                    let isolations = isolations.split(", ").map(str::to_owned).collect();
                    differs = Some((isolations, why.to_owned()));
                    continue;
                }
                "\\script" => Action::Script(self.until("\\end")),
                "\\copy-in" => Action::CopyIn { sql: rest.to_owned(), data: self.until("\\.") },
                "\\copy-through" => {
                    let (from, into) = rest.split_once("; ").unwrap_or_else(|| panic!("{place}: two statements"));
                    Action::CopyThrough { from: from.to_owned(), into: into.to_owned() }
                }
                "\\notifications" => {
                    Action::Notifications(rest.parse().unwrap_or_else(|_| panic!("{place}: how many?")))
                }
                _ if word.starts_with('\\') => panic!("{place}: {word} is not known"),
                _ => Action::Statement { sql: self.statement(line), params: std::mem::take(&mut params) },
            };
            assert!(params.is_empty(), "{place}: parameters without a statement");
            steps.push(Step { line: at + 1, connection: self.connection.clone(), action, differs: differs.take() });
        }
        steps
    }

    /// Up to the line that ends with a semicolon.
    fn statement(&mut self, first: &'a str) -> String {
        let mut lines = vec![first];
        while !lines.last().is_some_and(|line| line.ends_with(';')) {
            lines.push(self.lines.next().unwrap_or_else(|| panic!("{}: no end of {first}", self.file)).1);
        }
        let sql = lines.join("\n");
        sql.trim_end_matches(';').to_owned()
    }

    fn until(&mut self, end: &str) -> String {
        let mut text = String::new();
        loop {
            let (_, line) = self.lines.next().unwrap_or_else(|| panic!("{}: no {end}", self.file));
            if line == end {
                return text;
            }
            text.push_str(line);
            text.push('\n');
        }
    }
}
