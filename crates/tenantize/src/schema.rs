//! The app's tables as the migrations read so far leave them.

use crate::name::object_name;
use crate::plan::{self, Filled, Scope};
use crate::refusal::{Fault, Verdict};

mod objects;

pub(crate) use objects::{Kind, Objects, Routine, Trigger, Type, View};

/// Everything that has a name. Names of indexes and constraints are those of a plain database.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schema {
    tables: Vec<Table>,
    /// What is no table.
    pub(crate) objects: Objects,
    /// Tables whose CREATE TABLE was refused: what mentions them is not refused a second time.
    broken: Vec<String>,
}

/// A table.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) scope: Scope,
    pub(crate) columns: Vec<Column>,
    pub(crate) keys: Vec<Key>,
    pub(crate) indexes: Vec<Index>,
    pub(crate) foreign_keys: Vec<ForeignKey>,
    pub(crate) checks: Vec<Check>,
    /// The index on `tenant_id` alone, which exists only where tables are shared.
    pub(crate) tenant_index: Option<String>,
}

/// A column of the app's.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) filled: Filled,
    pub(crate) sequence: Option<String>,
    /// Columns that a generated one is computed from.
    pub(crate) computed_from: Vec<String>,
}

/// A primary key or unique constraint.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
    pub(crate) including: Vec<String>,
    pub(crate) primary: bool,
}

/// An index that is no constraint.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    pub(crate) name: String,
    /// Every column it mentions, in expressions and predicate too.
    pub(crate) mentions: Vec<String>,
    /// Whether it starts with `tenant_id` where tables are shared.
    pub(crate) leads: bool,
    /// Its columns, if a foreign key may refer to them: unique, whole, without expressions.
    pub(crate) key: Option<Vec<String>>,
}

/// A foreign key.
#[derive(Debug, Clone)]
pub(crate) struct ForeignKey {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
    pub(crate) parent: String,
    pub(crate) parent_columns: Vec<String>,
}

/// A check constraint.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) mentions: Vec<String>,
}

impl Table {
    pub(crate) fn has_column(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.name == name)
    }

    /// Fails unless the column exists.
    pub(crate) fn column(&self, name: &str) -> Verdict<&Column> {
        self.columns.iter().find(|column| column.name == name).ok_or_else(|| {
            Fault::new(
                format!("table {} has no column {name}", self.name),
                format!("use one of its columns: {}", self.column_names().collect::<Vec<_>>().join(", ")),
            )
        })
    }

    pub(crate) fn column_names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }

    pub(crate) fn primary_key(&self) -> Option<&Key> {
        self.keys.iter().find(|key| key.primary)
    }

    /// Whether shared SQL finds one tenant's rows by an index.
    pub(crate) fn has_leading_index(&self) -> bool {
        !self.keys.is_empty() || self.tenant_index.is_some() || self.indexes.iter().any(|index| index.leads)
    }

    /// Names of all constraints.
    pub(crate) fn constraints(&self) -> impl Iterator<Item = &str> {
        let keys = self.keys.iter().map(|key| &key.name);
        let foreign_keys = self.foreign_keys.iter().map(|key| &key.name);
        keys.chain(foreign_keys).chain(self.checks.iter().map(|check| &check.name)).map(String::as_str)
    }

    /// Names of indexes and sequences, in the table's schema like its own name.
    fn relations(&self) -> impl Iterator<Item = &str> {
        let keys = self.keys.iter().map(|key| &key.name);
        let indexes = self.indexes.iter().map(|index| &index.name);
        let sequences = self.columns.iter().filter_map(|column| column.sequence.as_ref());
        keys.chain(indexes).chain(sequences).map(String::as_str)
    }

    /// Whether the table, an index or a sequence of it has this name.
    fn takes(&self, name: &str) -> bool {
        self.name == name || self.relations().any(|taken| taken == name)
    }

    fn published(&self) -> plan::Table {
        let mut references: Vec<String> = Vec::new();
        for key in &self.foreign_keys {
            if !references.contains(&key.parent) && key.parent != self.name {
                references.push(key.parent.clone());
            }
        }
        let column = |column: &Column| plan::Column { name: column.name.clone(), filled: column.filled };
        plan::Table {
            name: self.name.clone(),
            scope: self.scope,
            columns: self.columns.iter().map(column).collect(),
            sequences: self.columns.iter().filter_map(|column| column.sequence.clone()).collect(),
            primary_key: self.primary_key().map(|key| key.columns.clone()).unwrap_or_default(),
            references,
        }
    }
}

impl Schema {
    pub(crate) fn tables(&self) -> &[Table] {
        &self.tables
    }

    pub(crate) fn tables_mut(&mut self) -> &mut [Table] {
        &mut self.tables
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// Fails unless the table exists.
    pub(crate) fn table(&self, name: &str) -> Verdict<&Table> {
        self.find(name).ok_or_else(|| self.unknown(name))
    }

    /// Like [`Self::table`], to change it.
    pub(crate) fn table_mut(&mut self, name: &str) -> Verdict<&mut Table> {
        let unknown = self.unknown(name);
        self.tables.iter_mut().find(|table| table.name == name).ok_or(unknown)
    }

    fn unknown(&self, name: &str) -> Fault {
        if self.broken.iter().any(|broken| broken == name) {
            return Fault::echo();
        }
        Fault::new(
            format!("there is no table {name} at this point"),
            "create it in an earlier statement, or correct the name",
        )
    }

    /// Those of some tables that a table refers to, directly or through others of them; itself only if it does so.
    pub(crate) fn ancestors_among(&self, table: &str, among: &[String]) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut open = vec![table.to_owned()];
        while let Some(next) = open.pop() {
            let keys = self.find(&next).map(|table| table.foreign_keys.as_slice()).unwrap_or_default();
            for key in keys {
                if among.contains(&key.parent) && !found.contains(&key.parent) {
                    found.push(key.parent.clone());
                    open.push(key.parent.clone());
                }
            }
        }
        found
    }

    /// Whether rows of a table may, directly or through other tables, refer to rows of the same one.
    pub(crate) fn refers_to_itself(&self, table: &str) -> bool {
        let all: Vec<String> = self.tables.iter().map(|table| table.name.clone()).collect();
        self.ancestors_among(table, &all).iter().any(|ancestor| ancestor == table)
    }

    pub(crate) fn add(&mut self, table: Table) {
        self.tables.push(table);
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.tables.retain(|table| table.name != name);
    }

    /// Notes that a table's CREATE TABLE was refused.
    pub(crate) fn mark_broken(&mut self, name: Option<String>) {
        self.objects.broken.extend(name.clone());
        self.broken.extend(name);
    }

    pub(crate) fn published(&self) -> Vec<plan::Table> {
        self.tables.iter().map(Table::published).collect()
    }

    fn of(&self, scope: Scope) -> impl Iterator<Item = &Table> {
        self.tables.iter().filter(move |table| table.scope == scope)
    }

    fn relation_taken(&self, name: &str) -> bool {
        self.tables.iter().any(|table| table.takes(name))
    }

    fn constraint_taken(&self, scope: Scope, name: &str) -> bool {
        self.of(scope).any(|table| table.constraints().any(|taken| taken == name))
    }

    /// Fails if a table, index or sequence of this name exists in whichever schema, or might in `pg_catalog`:
    /// `search_path` would find only the first of them.
    pub(crate) fn must_be_free(&self, name: &str) -> Verdict<()> {
        if name.starts_with("pg_") {
            return Err(Fault::new(
                format!("the name {name} begins with pg_, which PostgreSQL keeps for itself"),
                "choose another name",
            ));
        }
        if self.relation_taken(name) {
            return Err(Fault::new(format!("the name {name} is already taken"), "choose another name"));
        }
        if self.objects.find_view(name).is_some() {
            return Err(Fault::new(format!("the name {name} is already taken by a view"), "choose another name"));
        }
        self.must_not_meet_tenant_index(name)
    }

    /// Fails if a type of this name exists: tables and views have one too, of their rows.
    pub(crate) fn type_must_be_free(&self, name: &str) -> Verdict<()> {
        let taken = self.find(name).is_some() || self.objects.find_view(name).is_some();
        if taken || self.objects.find_type(name).is_some() {
            return Err(Fault::new(format!("the name {name} is already taken"), "choose another name"));
        }
        if name.starts_with("pg_") {
            return Err(Fault::new(
                format!("the name {name} begins with pg_, which PostgreSQL keeps for itself"),
                "choose another name",
            ));
        }
        Ok(())
    }

    /// A plain database has no index on `tenant_id`, so its name cannot make PostgreSQL choose another one there.
    fn must_not_meet_tenant_index(&self, name: &str) -> Verdict<()> {
        if self.tables.iter().any(|table| table.tenant_index.as_deref() == Some(name)) {
            return Err(Fault::new(
                format!("the name {name} is that of an index which síndico adds where tenants share tables"),
                "name the index or constraint explicitly, and otherwise",
            ));
        }
        Ok(())
    }

    /// What PostgreSQL calls an unnamed index or sequence (`ChooseRelationName`), which looks into one schema only:
    /// a name that the other one has is refused.
    pub(crate) fn choose_relation(
        &self,
        scope: Scope,
        table: &str,
        columns: Option<&str>,
        label: &str,
        constraint: bool,
    ) -> Verdict<String> {
        let name = first_free(table, columns, label, |name| {
            self.of(scope).any(|table| table.takes(name)) || (constraint && self.constraint_taken(scope, name))
        });
        if self.relation_taken(&name) {
            return Err(Fault::new(
                format!("the name {name}, which PostgreSQL chooses here, is already taken"),
                "name the index or constraint explicitly, or rename the table or column",
            ));
        }
        self.must_not_meet_tenant_index(&name)?;
        Ok(name)
    }

    /// What PostgreSQL calls an unnamed check or foreign key (`ChooseConstraintName`).
    pub(crate) fn choose_constraint(&self, scope: Scope, table: &str, columns: Option<&str>, label: &str) -> String {
        first_free(table, columns, label, |name| self.constraint_taken(scope, name))
    }

    /// A name for the index that only shared tables have.
    pub(crate) fn choose_tenant_index(&self, table: &str) -> String {
        first_free(table, Some(crate::tree::TENANT_ID), "idx", |name| {
            self.relation_taken(name) || self.must_not_meet_tenant_index(name).is_err()
        })
    }
}

fn first_free(table: &str, columns: Option<&str>, label: &str, taken: impl Fn(&str) -> bool) -> String {
    let mut name = object_name(table, columns, label);
    let mut number = 0_u32;
    while taken(&name) {
        number += 1;
        name = object_name(table, columns, &format!("{label}{number}"));
    }
    name
}
