//! What the attacker knows: every name of the victim's, filled into the attack files' statements.

/// A name that attack files may use, and what it stands for.
pub(crate) const KNOWN: &[(&str, &str)] = &[
    ("app", "the app's name"),
    ("owner", "role that owns the app's tables"),
    ("group", "group role that gives tenants of this isolation their privileges"),
    ("id", "the victim's id"),
    ("hex", "the same as 32 hexadecimal digits"),
    ("slug", "the victim's slug"),
    ("role", "the victim's login role"),
    ("reader", "the victim's login role that only reads"),
    ("database", "the victim's database"),
    ("schema", "the schema of the victim's tables"),
    ("table", "a table of the victim's that holds the canary, with its schema, quoted"),
    ("bare", "the same without schema, quoted"),
    ("name", "the same as it stands in the catalog"),
    ("column", "the column that holds the canary, quoted"),
    ("pkey", "the table's primary key index, with its schema, quoted"),
    ("word", "an expression whose value is the canary; the statement does not hold it in one piece"),
    ("other", "another app's database on the server, or one that every server has"),
    ("child", "a table of the attacker's with a foreign key, quoted"),
    ("fk", "its referring column, quoted"),
    ("foreign", "a key that only the victim's referred table has"),
    ("unique_table", "a table of the attacker's with a unique column, quoted"),
    ("unique", "that column, quoted; in the victim's table the canary stands there"),
    ("sequence", "a sequence of the victim's, with its schema, quoted"),
    ("sequence_name", "the same without schema"),
    ("object", "a large object of the victim's"),
    ("pid", "the victim's server process"),
    ("temp", "the victim's schema for temporary tables"),
    ("copy", "the view that rows are copied into, quoted"),
    ("own_id", "the attacker's id"),
    ("own_slug", "the attacker's slug"),
    ("own_key", "the attacker's key"),
    ("own_role", "the attacker's login role"),
    ("own_hex", "the attacker's id as 32 hexadecimal digits"),
    ("own_schema", "the schema of the attacker's tables"),
    ("mine", "a word that stands in the attacker's own rows"),
    ("leak", "a statement that makes pg_temp.leak(text), which tells in a notice what it is given"),
];

/// Values of the names for one pair of tenants.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names(Vec<(&'static str, String)>);

/// A statement uses a name that has no value here, such as a foreign key's in an app that has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing(pub(crate) &'static str);

impl Names {
    /// Gives a name its value; a name that is not [`KNOWN`] stays unknown.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        if let Some((known, _)) = KNOWN.iter().find(|(known, _)| *known == name) {
            self.0.retain(|(set, _)| set != known);
            self.0.push((known, value.into()));
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// Fills the names in. Braces around anything else are left as they are: SQL has uses of its own for them.
    pub(crate) fn fill(&self, text: &str) -> Result<String, Missing> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let known = after.split_once('}').and_then(|(word, behind)| {
                KNOWN.iter().find(|(known, _)| *known == word).map(|(known, _)| (*known, behind))
            });
            if let Some((name, behind)) = known {
                out.push_str(self.get(name).ok_or(Missing(name))?);
                rest = behind;
            } else {
                out.push('{');
                rest = after;
            }
        }
        out.push_str(rest);
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_filled_in() {
        let mut names = Names::default();
        names.set("role", "t_1");
        assert_eq!(
            names.fill("SET ROLE {role}; SELECT '{1,2}', '{}'::json").as_deref(),
            Ok("SET ROLE t_1; SELECT '{1,2}', '{}'::json")
        );
        assert_eq!(names.fill("{child}"), Err(Missing("child")));
    }
}
