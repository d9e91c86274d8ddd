//! For how long rows are kept: what `app.toml` says, held against the app's tables.

use std::collections::BTreeMap;

use domain::{ArchiveFor, Keep};
use serde::{Deserialize, Serialize};

use crate::{Plan, Scope, Table};

/// How rows of a table are told by their age.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// The column that says from when a row is.
    pub column: String,
    /// For how long it is kept, unless a tenant has another time.
    pub keep: Keep,
    /// For how long rows are archived when they are removed; not at all without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<ArchiveFor>,
}

/// A rule that does not fit the app's tables.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("app.toml, [retention.{table}]{}{key}: {reason}; {remedy}", if key.is_empty() { "" } else { " " })]
pub struct RetentionFault {
    /// The table that it names.
    pub table: String,
    /// Which key is wrong; empty for the table itself.
    pub key: &'static str,
    /// What is wrong.
    pub reason: String,
    /// What to write instead.
    pub remedy: String,
}

/// Types that say when.
const TIMES: [&str; 3] = ["timestamptz", "timestamp", "date"];

impl Plan {
    /// Makes sure that rules fit the tables. Returns advice: what works, and could work better.
    pub fn check_retention(&self, rules: &BTreeMap<String, Retention>) -> Result<Vec<String>, RetentionFault> {
        let mut advice = Vec::new();
        for (name, rule) in rules {
            let table = self.retained(name, rule)?;
            if !table.led_by.contains(&rule.column) {
                advice.push(format!(
                    "app.toml, [retention.{name}]: no index of {name} starts with {0}, so old rows are looked for in the whole table; \
                     CREATE INDEX ON {name} ({0})",
                    rule.column
                ));
            }
        }
        Ok(advice)
    }

    fn retained(&self, name: &str, rule: &Retention) -> Result<&Table, RetentionFault> {
        let fault =
            |key, reason: String, remedy: String| RetentionFault { table: name.to_owned(), key, reason, remedy };
        let Some(table) = self.tables().iter().find(|table| table.name == name) else {
            let known: Vec<&str> = self.tables().iter().map(|table| table.name.as_str()).collect();
            let remedy = format!("name one of them: {}", known.join(", "));
            return Err(fault("", format!("the app has no table {name}"), remedy));
        };
        if table.scope == Scope::Global {
            let remedy = "leave it out, and remove rows in a migration".to_owned();
            return Err(fault("", format!("{name} is global, and its rows are no tenant's"), remedy));
        }
        if let Some(whole) = &table.partition_of {
            let reason = format!("{name} is a partition of {whole}");
            return Err(fault("", reason, format!("write [retention.{whole}], which is about all of them")));
        }
        let Some(column) = table.columns.iter().find(|column| column.name == rule.column) else {
            let known: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
            let remedy = format!("name one of its columns: {}", known.join(", "));
            return Err(fault("column", format!("{name} has no column {}", rule.column), remedy));
        };
        if TIMES.contains(&column.type_name.as_str()) {
            return Ok(table);
        }
        let reason = format!("{} is of type {}", rule.column, column.type_name);
        Err(fault("column", reason, format!("name a column of type {}", TIMES.join(", "))))
    }
}

#[cfg(test)]
mod tests {

    use crate::{Manifest, Sources, SqlFile};

    const TABLES: &str = "
        CREATE TABLE old (id bigserial PRIMARY KEY, at timestamptz NOT NULL, day date, what text);
        CREATE INDEX ON old (day);
        CREATE TABLE parts (at timestamp without time zone NOT NULL, n int) PARTITION BY RANGE (at);
        CREATE TABLE parts_other PARTITION OF parts DEFAULT;
        -- sindico: global
        CREATE TABLE kinds (at timestamptz);";

    #[test]
    fn rules_fit_the_tables_or_say_what_does() {
        let migrations = vec![SqlFile { name: "migrations/1.sql".to_owned(), text: TABLES.to_owned() }];
        let plan = crate::plan(&Sources { migrations, seed: Vec::new() }).expect("a plan");
        let check = |table: &str, column: &str| {
            let text = format!("name = \"x\"\n[retention.{table}]\ncolumn = \"{column}\"\nkeep = \"30 days\"");
            plan.check_retention(&Manifest::parse(&text).expect("a manifest").retention)
        };
        assert_eq!(check("old", "day"), Ok(Vec::new()));
        let advice = check("old", "at").expect("works");
        assert!(advice.len() == 1 && advice[0].contains("CREATE INDEX ON old (at)"), "{advice:?}");
        assert_eq!(check("parts", "at").map(|advice| advice.len()), Ok(1));
        for (table, column, said) in [
            ("none", "at", "no table none; name one of them: old"),
            ("kinds", "at", "is global"),
            ("parts_other", "at", "write [retention.parts]"),
            (
                "old",
                "when",
                "[retention.old] column: old has no column when; name one of its columns: id, at, day, what",
            ),
            ("old", "what", "what is of type text"),
        ] {
            let error = check(table, column).expect_err(table).to_string();
            assert!(error.contains(said), "{error}");
        }
        for bad in
            ["column = \"at\"", "column = \"at\"\nkeep = \"-1 days\"", "column = \"at\"\nkeep = \"1 day\"\nx = 1"]
        {
            let error = Manifest::parse(&format!("name = \"x\"\n[retention.old]\n{bad}")).expect_err(bad).to_string();
            assert!(error.contains("line "), "{error}");
        }
    }
}
