//! The app's tables as the migrations read so far leave them.

use crate::loading::Loading;
use crate::name::object_name;
use crate::plan::{self, Scope};
use crate::refusal::{Fault, Verdict};

mod objects;
mod table;

pub(crate) use objects::{Enum, Kind, Objects, Routine, Trigger, Type, View};
pub(crate) use table::{Check, Column, Exclusion, ForeignKey, Index, Key, Table};

/// Everything that has a name. Names of indexes and constraints are those of a plain database.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schema {
    tables: Vec<Table>,
    /// What is no table.
    pub(crate) objects: Objects,
    sequences: Vec<Sequence>,
    pub(crate) loading: Loading,
    /// Whether what is read now is for an app in use.
    pub(crate) live: bool,
    /// Tables whose CREATE TABLE was refused: what mentions them is not refused a second time.
    broken: Vec<String>,
}

/// A sequence. Where tables are shared every tenant has one of its own, in `s_<hex>`; one of scope
/// [`Scope::Global`] is in schema `global`.
#[derive(Debug, Clone)]
pub(crate) struct Sequence {
    pub(crate) name: String,
    pub(crate) scope: Scope,
    /// The table and column that it goes with.
    pub(crate) owner: Option<(String, String)>,
    /// The sequence that an identity column has in its place where tables are shared. It keeps its name whatever the
    /// table and column are renamed to.
    pub(crate) carrier: Option<String>,
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

    /// What has rows under a name: a table or a view.
    pub(crate) fn rows_of(&self, name: &str) -> Verdict<&Table> {
        match self.objects.find_view(name) {
            Some(view) => Ok(&view.shape),
            None => self.table(name),
        }
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

    /// From here on the migrations are those of an app in use: tables may have rows, and types are as they are.
    pub(crate) fn go_live(&mut self) {
        self.live = true;
        self.have_rows();
        for created in &mut self.objects.enums {
            created.settled = true;
        }
    }

    /// Any table may have rows.
    pub(crate) fn have_rows(&mut self) {
        for table in &mut self.tables {
            table.lived = true;
        }
    }

    /// Those of some tables that a table refers to, directly or through others of them; itself only if it does so.
    pub(crate) fn ancestors_among(&self, table: &str, among: &[String]) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut open = vec![table.to_owned()];
        while let Some(next) = open.pop() {
            // A partition has the foreign keys of its table, and rows that refer to the table are in its partitions.
            let of = std::iter::successors(self.find(&next), |table| self.find(table.parent.as_deref()?));
            for key in of.flat_map(|table| &table.foreign_keys) {
                for name in self.family(&key.parent) {
                    if among.contains(&name) && !found.contains(&name) {
                        found.push(name.clone());
                        open.push(name);
                    }
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

    /// Notes which names stand for types with fields at this point.
    pub(crate) fn note_fields(&mut self) {
        let tables = self.tables.iter().map(|table| &table.name);
        let views = self.objects.views.iter().map(|view| &view.name);
        let composite = |known: &&Type| matches!(known.kind, Kind::Composite(_) | Kind::Domain { fields: true });
        let types = self.objects.types.iter().filter(composite).map(|known| &known.name);
        self.objects.had_fields.extend(tables.chain(views).chain(types).cloned());
    }

    /// Takes a view away with its triggers.
    pub(crate) fn remove_view(&mut self, name: &str) {
        self.objects.views.retain(|view| view.name != name);
        self.objects.triggers.retain(|trigger| trigger.table != name);
    }

    /// Takes a table away with its triggers and the sequences that its columns own, and gives the names of those.
    pub(crate) fn remove(&mut self, name: &str) -> Vec<String> {
        self.tables.retain(|table| table.name != name);
        self.objects.triggers.retain(|trigger| trigger.table != name);
        self.remove_sequences(|(table, _)| table == name)
    }

    /// Takes sequences away whose owner is one of these, and gives their names.
    pub(crate) fn remove_sequences(&mut self, of: impl Fn(&(String, String)) -> bool) -> Vec<String> {
        let (gone, kept) = std::mem::take(&mut self.sequences)
            .into_iter()
            .partition(|sequence: &Sequence| sequence.owner.as_ref().is_some_and(&of));
        self.sequences = kept;
        gone.into_iter().map(|sequence| sequence.name).collect()
    }

    pub(crate) fn sequences(&self) -> &[Sequence] {
        &self.sequences
    }

    pub(crate) fn sequences_mut(&mut self) -> &mut Vec<Sequence> {
        &mut self.sequences
    }

    pub(crate) fn sequence(&self, name: &str) -> Option<&Sequence> {
        self.sequences.iter().find(|sequence| sequence.name == name)
    }

    /// What `pg_get_serial_sequence` finds: the sequence that goes with a column.
    pub(crate) fn sequence_of(&self, table: &str, column: &str) -> Option<&Sequence> {
        let owns = |owner: &(String, String)| owner.0 == table && owner.1 == column;
        self.sequences.iter().find(|sequence| sequence.owner.as_ref().is_some_and(owns))
    }

    /// What the sequence behind a shared table's identity column is called.
    pub(crate) fn carrier_of(&self, table: &str, column: &str) -> Option<&str> {
        let owns = |owner: &(String, String)| owner.0 == table && owner.1 == column;
        let mut owned = self.sequences.iter().filter(|sequence| sequence.owner.as_ref().is_some_and(owns));
        owned.find_map(|sequence| sequence.carrier.as_deref())
    }

    /// Notes an extension that the DDL relies on.
    pub(crate) fn need_extension(&mut self, name: &str) {
        if !self.objects.extensions.iter().any(|known| known == name) {
            self.objects.extensions.push(name.to_owned());
        }
    }

    /// Takes an index away that is no constraint, with its parts on partitions.
    pub(crate) fn remove_index(&mut self, name: &str) {
        let mut going = vec![name.to_owned()];
        while let Some(name) = going.pop() {
            for table in &mut self.tables {
                let parts = table.indexes.iter().filter(|index| index.attached.as_ref() == Some(&name));
                going.extend(parts.map(|index| index.name.clone()));
                table.indexes.retain(|index| index.name != name);
            }
        }
    }

    /// Takes a key away, with its parts on partitions.
    pub(crate) fn remove_key(&mut self, name: &str) {
        let mut going = vec![name.to_owned()];
        while let Some(name) = going.pop() {
            for table in &mut self.tables {
                let parts = table.keys.iter().filter(|key| key.attached.as_ref() == Some(&name));
                going.extend(parts.map(|key| key.name.clone()));
                table.keys.retain(|key| key.name != name);
            }
        }
    }

    /// A table's partitions.
    pub(crate) fn partitions<'a>(&'a self, of: &'a str) -> impl Iterator<Item = &'a Table> {
        self.tables.iter().filter(move |table| table.parent.as_deref() == Some(of))
    }

    /// A table, its partitions and theirs.
    pub(crate) fn family(&self, of: &str) -> Vec<String> {
        let mut names = vec![of.to_owned()];
        let mut next = 0;
        while let Some(name) = names.get(next).cloned() {
            names.extend(self.partitions(&name).map(|table| table.name.clone()));
            next += 1;
        }
        names
    }

    /// Notes that a table's CREATE TABLE was refused.
    pub(crate) fn mark_broken(&mut self, name: Option<String>) {
        self.objects.broken.extend(name.clone());
        self.broken.extend(name);
    }

    /// Whether a refused statement would have made something of this name.
    pub(crate) fn is_broken(&self, name: &str) -> bool {
        self.objects.broken.iter().any(|broken| broken == name)
    }

    pub(crate) fn published(&self) -> Vec<plan::Table> {
        let sequences = |table: &str| {
            let owned = |sequence: &&Sequence| sequence.owner.as_ref().is_some_and(|(owner, _)| owner == table);
            self.sequences.iter().filter(owned).map(|sequence| sequence.name.clone()).collect()
        };
        self.tables.iter().map(|table| table.published(sequences(&table.name))).collect()
    }

    fn of(&self, scope: Scope) -> impl Iterator<Item = &Table> {
        self.tables.iter().filter(move |table| table.scope == scope)
    }

    fn relation_taken(&self, name: &str) -> bool {
        self.tables.iter().any(|table| table.takes(name)) || self.sequence(name).is_some()
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
        self.must_not_meet_additions(name)
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

    /// A plain database has neither an index on `tenant_id` nor sequences that only carry, so their names cannot make
    /// PostgreSQL choose another one there.
    fn must_not_meet_additions(&self, name: &str) -> Verdict<()> {
        if self.tables.iter().any(|table| table.tenant_index.as_deref() == Some(name)) {
            return Err(Fault::new(
                format!("the name {name} is that of an index which síndico adds where tenants share tables"),
                "name the index or constraint explicitly, and otherwise",
            ));
        }
        if self.sequences.iter().any(|sequence| sequence.carrier.as_deref() == Some(name)) {
            return Err(Fault::new(
                format!("the name {name} is that of a sequence which síndico adds where tenants share tables"),
                "choose another name",
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
            self.of(scope).any(|table| table.takes(name))
                || self.sequences.iter().any(|sequence| sequence.scope == scope && sequence.name == name)
                || (constraint && self.constraint_taken(scope, name))
        });
        if self.relation_taken(&name) {
            return Err(Fault::new(
                format!("the name {name}, which PostgreSQL chooses here, is already taken"),
                "name the index or constraint explicitly, or rename the table or column",
            ));
        }
        self.must_not_meet_additions(&name)?;
        Ok(name)
    }

    /// What PostgreSQL calls an unnamed check or foreign key (`ChooseConstraintName`).
    pub(crate) fn choose_constraint(&self, scope: Scope, table: &str, columns: Option<&str>, label: &str) -> String {
        first_free(table, columns, label, |name| self.constraint_taken(scope, name))
    }

    /// A name for the index that only shared tables have.
    pub(crate) fn choose_tenant_index(&self, table: &str) -> String {
        first_free(table, Some(crate::tree::TENANT_ID), "idx", |name| {
            self.relation_taken(name) || self.must_not_meet_additions(name).is_err()
        })
    }

    /// A name for the sequence that an identity column of shared tables has. Not the one that the app knows: found in
    /// `public` it would hide the tenant's own sequence.
    pub(crate) fn choose_carrier(&self, table: &str, column: &str) -> String {
        first_free(&format!("sindico_carrier_{table}"), Some(column), "seq", |name| self.must_be_free(name).is_err())
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
