//! The report for programs.

use serde_json::{Map, Value, json};

use super::report::{FileReport, Outcome, Report, StatementReport};

pub(super) fn write(report: &Report) -> Value {
    let summary = &report.summary;
    json!({
        "app": report.app.as_str(),
        "accepted": report.refused.is_empty(),
        "files": report.files.iter().map(file).collect::<Vec<_>>(),
        "refused": report.refused.iter().map(|refusal| json!({
            "file": refusal.file,
            "line": refusal.line,
            "statement": refusal.statement,
            "reason": refusal.reason,
            "remedy": refusal.remedy,
        })).collect::<Vec<_>>(),
        "summary": {
            "tables": {"tenant": summary.tenant_tables, "global": summary.global_tables},
            "statements": summary.statements,
            "extensions": summary.extensions,
            "refused": report.refused.len(),
        },
    })
}

fn file(file: &FileReport) -> Value {
    json!({"file": file.name, "statements": file.statements.iter().map(statement).collect::<Vec<_>>()})
}

fn statement(statement: &StatementReport) -> Value {
    let outcome = |it: &Outcome| (it.isolation.to_string(), json!({"effect": it.effect, "sql": it.sql}));
    json!({
        "line": statement.line,
        "kind": statement.headline.kind,
        "name": statement.headline.name,
        "scope": statement.scope,
        "added": statement.added,
        "note": statement.note,
        "becomes": statement.outcomes.iter().map(outcome).collect::<Map<_, _>>(),
    })
}
