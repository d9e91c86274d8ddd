//! What becomes of a statement, in a few words.

/// Describes what runs for a statement that stands in the file from `source` on.
pub(super) fn describe(source: &str, runs: &[String]) -> String {
    // A foreign key that is checked now has the policies out of its way for a moment.
    let about = |sql: &&String| kind(sql).is_none_or(|kind| kind != SECURITY && !kind.is_empty());
    let Some(main) = runs.iter().find(about).or(runs.first()) else { return "nothing to run".to_owned() };
    let mut words = vec![if is_in(source, main) { "as written" } else { adapted(source, main) }.to_owned()];
    // What is made for the table's COPY follows every change of its columns.
    let renewed = runs.iter().any(|sql| sql.starts_with("DROP VIEW sindico_copy."));
    let rest = runs.iter().filter(|sql| !std::ptr::eq(*sql, main)).map(|sql| kind(sql).unwrap_or("more statement"));
    words.extend(beside(rest.filter(|kind| !(renewed && [COPY, "trigger"].contains(kind)))));
    words.extend(renewed.then(|| format!("{COPY} renewed")));
    words.join(", ")
}

const SECURITY: &str = "row-level security";
const COPY: &str = "view for COPY";

/// Whether the file says just this, from here on. What stands around a function's body may be spelt otherwise.
fn is_in(source: &str, sql: &str) -> bool {
    let body = || sql.split_once(" AS $").filter(|_| sql.starts_with("CREATE ")).map(|(_, body)| body);
    source.contains(sql) || body().is_some_and(|body| source.contains(body))
}

/// Why the text is another one than the app's.
fn adapted(source: &str, sql: &str) -> &'static str {
    let has = |word: &str| sql.contains(word) && !source.contains(word);
    let starts = |word: &str| sql.trim_start().to_ascii_uppercase().starts_with(word);
    if has("security_invoker") {
        "runs as whoever asks"
    } else if has("tenant_id") && starts("CREATE TABLE") {
        "tenant_id added, keys lead with it"
    } else if has("tenant_id") {
        "led by tenant_id"
    } else if has("sindico.") {
        "calls síndico's own"
    } else if has("global.") {
        "in schema global"
    } else if ["CREATE INDEX", "CREATE UNIQUE INDEX", "ALTER TABLE"].into_iter().any(starts) {
        // Names that PostgreSQL would choose are written out, so that they are the same everywhere.
        "as written, names spelt out"
    } else {
        "adapted"
    }
}

/// What comes with the statement, each kind once.
fn beside(rest: impl Iterator<Item = &'static str>) -> Vec<String> {
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    for kind in rest.filter(|kind| !kind.is_empty()) {
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => kinds.push((kind, 1)),
        }
    }
    let plural = |(kind, count): (&str, usize)| match (kind, count) {
        (SECURITY | "privileges", _) | (_, 1) => kind.to_owned(),
        ("policy", count) => format!("{count} policies"),
        ("index", count) => format!("{count} indexes"),
        (kind, count) => format!("{count} {kind}s"),
    };
    kinds.into_iter().map(plural).collect()
}

/// What a statement of síndico's own makes; empty for what only serves the rest, `None` for the app's own.
fn kind(sql: &str) -> Option<&'static str> {
    let upper = sql.trim_start().to_ascii_uppercase();
    let is = |words: &str| upper.starts_with(words);
    if is("ALTER TABLE") && upper.contains(" ROW LEVEL SECURITY") {
        Some(if upper.contains("ENABLE ROW") { SECURITY } else { "" })
    } else if is("CREATE POLICY") {
        Some("policy")
    } else if is("GRANT") || is("REVOKE") {
        Some("privileges")
    } else if is("CREATE INDEX \"") {
        Some("index")
    } else if is("CREATE VIEW SINDICO_COPY.") {
        Some(COPY)
    } else if is("CREATE TRIGGER SINDICO_COPY ") || is("CREATE TRIGGER \"!SINDICO") {
        Some("trigger")
    } else if upper.contains("SINDICO_COPY.") || is("DROP TRIGGER \"!SINDICO") || is("ALTER INDEX") {
        Some("")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_statement_that_is_unchanged_is_as_written() {
        assert_eq!(describe("CREATE TABLE t (a int);\n", &texts(&["CREATE TABLE t (a int)"])), "as written");
        assert_eq!(describe("CREATE EXTENSION citext;", &[]), "nothing to run");
    }

    #[test]
    fn the_app_s_statement_is_told_about_and_not_what_surrounds_it() {
        let runs = texts(&[
            "ALTER TABLE \"t\" NO FORCE ROW LEVEL SECURITY",
            "ALTER TABLE t ADD COLUMN u int, ADD FOREIGN KEY (tenant_id, u) REFERENCES t",
            "ALTER TABLE \"t\" FORCE ROW LEVEL SECURITY",
        ]);
        assert_eq!(describe("ALTER TABLE t ADD COLUMN u int REFERENCES t", &runs), "led by tenant_id");
    }

    #[test]
    fn what_is_added_is_counted_by_kind() {
        let runs = texts(&[
            "CREATE TABLE t (a int, tenant_id uuid)",
            "ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
            "CREATE POLICY tenant ON t",
            "CREATE INDEX \"t_tenant_id_idx\" ON t (tenant_id)",
            "CREATE INDEX \"t_tenant_id_a_idx\" ON t (tenant_id, a)",
        ]);
        assert_eq!(
            describe("CREATE TABLE t (a int)", &runs),
            "tenant_id added, keys lead with it, row-level security, policy, 2 indexes"
        );
    }
}
