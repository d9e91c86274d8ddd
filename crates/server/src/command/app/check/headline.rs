//! What a statement is about, from its first words: `CREATE INDEX`, `animals_microchip`.

/// Longest name that a line has room for, in characters; longer ones end in `…`.
const ROOM: usize = 44;

/// The beginning of a statement, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Headline {
    /// Its kind as SQL calls it, in capitals.
    pub(super) kind: String,
    /// What it makes or changes.
    pub(super) name: String,
}

impl Headline {
    /// Reads the first words. Text that begins in no way known here is its own name.
    pub(super) fn of(sql: &str) -> Self {
        let sql = without_comments(sql);
        let words: Vec<&str> = sql.split_whitespace().take(24).collect();
        let mut words = Words { words: &words };
        let Some(first) = words.keyword() else { return Self { kind: String::new(), name: String::new() } };
        match first.as_str() {
            "CREATE" => {
                words.skip(&["OR", "REPLACE", "UNIQUE", "UNLOGGED", "CONSTRAINT", "RECURSIVE"]);
                let kind = words.keyword().unwrap_or_default();
                words.skip(&["CONCURRENTLY", "IF", "NOT", "EXISTS"]);
                let name = if kind == "INDEX" && words.next_is("ON") { words.rest(2) } else { words.name() };
                Self::new(format!("CREATE {kind}"), &name)
            }
            "ALTER" | "DROP" => {
                let kind = words.keyword().unwrap_or_default();
                words.skip(&["IF", "EXISTS", "ONLY", "CONCURRENTLY"]);
                // `ALTER TABLE t` alone tells little.
                let name = if first == "ALTER" { words.rest(5) } else { words.name() };
                Self::new(format!("{first} {kind}"), &name)
            }
            "COMMENT" => {
                words.skip(&["ON"]);
                Self::new(first, &words.rest(2))
            }
            "INSERT" | "UPDATE" | "DELETE" => {
                words.skip(&["INTO", "FROM", "ONLY"]);
                Self::new(first, &words.name())
            }
            _ => Self::new(first, &words.rest(usize::MAX)),
        }
    }

    fn new(kind: String, name: &str) -> Self {
        let name = name.trim_end_matches([';', ',']);
        let short: String = name.chars().take(ROOM).collect();
        let name = if short.len() < name.len() { format!("{}…", short.trim_end()) } else { short };
        Self { kind, name }
    }
}

struct Words<'a> {
    words: &'a [&'a str],
}

impl Words<'_> {
    fn keyword(&mut self) -> Option<String> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first.trim_end_matches(';').to_uppercase())
    }

    fn next_is(&self, keyword: &str) -> bool {
        self.words.first().is_some_and(|word| word.eq_ignore_ascii_case(keyword))
    }

    fn skip(&mut self, keywords: &[&str]) {
        while keywords.iter().any(|keyword| self.next_is(keyword)) {
            self.words = &self.words[1..];
        }
    }

    /// The next word up to a parenthesis, which may follow a name without a space.
    fn name(&self) -> String {
        let word = self.words.first().copied().unwrap_or_default();
        word.split('(').next().unwrap_or(word).to_owned()
    }

    fn rest(&self, at_most: usize) -> String {
        self.words.iter().take(at_most).copied().collect::<Vec<_>>().join(" ")
    }
}

/// Leading comments belong to people.
fn without_comments(sql: &str) -> &str {
    let mut sql = sql.trim_start();
    loop {
        let rest = if sql.starts_with("--") {
            sql.split_once('\n').map_or("", |(_, rest)| rest)
        } else if let Some(comment) = sql.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, rest)| rest)
        } else {
            return sql;
        };
        sql = rest.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_words_tell_what_a_statement_is_about() {
        for (sql, kind, name) in [
            ("CREATE TABLE clients (id int)", "CREATE TABLE", "clients"),
            ("create unique index if not exists one ON t (a)", "CREATE INDEX", "one"),
            ("CREATE INDEX ON clients(lower(email))", "CREATE INDEX", "ON clients(lower(email))"),
            ("CREATE OR REPLACE FUNCTION next_number(a int) RETURNS int", "CREATE FUNCTION", "next_number"),
            ("ALTER TABLE IF EXISTS ONLY t ADD COLUMN a int", "ALTER TABLE", "t ADD COLUMN a int"),
            ("DROP INDEX CONCURRENTLY IF EXISTS i", "DROP INDEX", "i"),
            ("COMMENT ON COLUMN t.a IS 'x'", "COMMENT", "COLUMN t.a"),
            ("-- why\n/* and */ INSERT INTO t(a) VALUES (1)", "INSERT", "t"),
            ("SELECT watch('A');", "SELECT", "watch('A')"),
        ] {
            assert_eq!(Headline::of(sql), Headline { kind: kind.to_owned(), name: name.to_owned() }, "{sql}");
        }
    }

    #[test]
    fn odd_texts_have_a_headline_too() {
        assert_eq!(Headline::of(" -- nothing").kind, "");
        assert_eq!(Headline::of("CREATE").kind, "CREATE ");
        let long = Headline::of(&format!("SELECT {}", "é".repeat(100)));
        assert_eq!(long.name, format!("{}…", "é".repeat(ROOM)));
    }
}
