//! What becomes of statements: those of [`super::super::script`], by their texts, and anything else as one that does nothing.

use super::{Backend, Copying};
use crate::fuzzing::frames::put;

impl Backend {
    /// Runs a statement as far as it does more than give rows.
    pub(super) fn run(&mut self, sql: &[u8], simple: bool) -> Result<(), &'static str> {
        let sql = String::from_utf8_lossy(sql.trim_ascii()).into_owned();
        if self.status == b'I' && self.before.is_none() {
            self.before = Some(self.settings.clone());
        }
        match sql.as_str() {
            "COMMIT" | "ROLLBACK" => {
                let kept = sql == "COMMIT" && self.status != b'E';
                self.over(kept);
                self.complete(if kept { "COMMIT" } else { "ROLLBACK" });
                return Ok(());
            }
            _ if self.status == b'E' => {
                self.peculiar |= sql.starts_with("DEALLOCATE");
                return Err("25P02");
            }
            "BEGIN" => self.status = b'T',
            "FAIL" => return Err("22012"),
            "STALE" => return Err("0A000"),
            "DIE" => {
                self.end("57P01");
                return Ok(());
            }
            "RESET ALL" => self.settings.clear(),
            "DISCARD ALL" if self.status == b'T' => return Err("25001"),
            "DISCARD ALL" => {
                self.settings.clear();
                self.statements.retain(|name, _| name.is_empty());
                self.portals.clear();
                self.keeps = false;
            }
            "DEALLOCATE ALL" => self.statements.retain(|name, _| name.is_empty()),
            "LISTEN c" => self.keeps = true,
            "UNLISTEN *" => self.keeps = false,
            "TRUNCATE pets" => {
                self.complete("TRUNCATE TABLE");
                return Ok(());
            }
            "COPY wild TO STDOUT" => {
                put(&mut self.out, b'H', b"\0\0\x01\0\0");
                for _ in 0..2 {
                    put(&mut self.out, b'd', b"a row\n");
                }
                put(&mut self.out, b'c', b"");
            }
            _ if sql.starts_with("COPY wild FROM STDIN") => {
                put(&mut self.out, b'G', b"\0\0\x01\0\0");
                (self.copying, self.copied) = (Some(Copying { simple, bad: sql.ends_with("bad") }), true);
                return Ok(());
            }
            _ if sql.contains("sindico.truncate") => {
                put(&mut self.out, b'N', b"SNOTICE\0VNOTICE\0CSN001\0Mtruncated\0\0");
                self.complete("CALL");
                return Ok(());
            }
            _ => self.set(&sql)?,
        }
        if rows(sql.as_bytes()) == 0 {
            let words = if sql.starts_with("SET") || sql.contains(" ALL") { 1 } else { 2 };
            let words: Vec<&str> = sql.split(' ').take(words).filter(|word| word.len() > 1).collect();
            self.complete(match words.as_slice() {
                // What the gateway does in place of a name's end has another.
                ["DEALLOCATE", _] => "DEALLOCATE",
                _ if sql.contains(" ALL") => &sql,
                [first, ..] => first,
                [] => "OK",
            });
        }
        Ok(())
    }

    fn set(&mut self, sql: &str) -> Result<(), &'static str> {
        let zone = |sql: &str| Some(sql.split_once("TimeZone = '")?.1.trim_end_matches('\'').to_owned());
        let name = "TimeZone".to_owned();
        if sql.starts_with("SET LOCAL") {
            if let (b'T', Some(zone)) = (self.status, zone(sql)) {
                self.local.get_or_insert_with(|| self.settings.clone());
                self.settings.insert(name, zone);
            }
        } else if sql.starts_with("SET") {
            if let Some(zone) = zone(sql) {
                self.settings.insert(name, zone);
                self.local = None;
            }
        } else if let Some(name) = sql.strip_prefix("DEALLOCATE ") {
            self.statements.remove(name.as_bytes()).ok_or("26000")?;
        }
        Ok(())
    }
}

/// Whether a text can be read.
pub(super) fn understood(sql: &[u8]) -> Result<(), &'static str> {
    let shown = String::from_utf8_lossy(sql);
    if let Some((_, refusal)) = shown.split_once("$refusal") {
        return Err(["42P05", "54000", "40001", "0A000"]
            .into_iter()
            .find(|code| refusal.contains(&format!("{{\"{code}\n")))
            .unwrap_or("XX000"));
    }
    if shown.contains("SYNTAX") { Err("42601") } else { Ok(()) }
}

/// Rows that a statement gives.
pub(super) fn rows(sql: &[u8]) -> usize {
    let sql = sql.trim_ascii();
    if sql.ends_with(b"many") {
        return 5;
    }
    usize::from(sql.starts_with(b"SELECT") || sql.starts_with(b"SHOW"))
}

/// Whether a statement ends a transaction that has failed.
pub(super) fn ends(sql: &[u8]) -> bool {
    matches!(sql.trim_ascii(), b"COMMIT" | b"ROLLBACK")
}
