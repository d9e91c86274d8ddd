//! A table and what belongs to it.

use pg_query::{NodeEnum, protobuf as pb};

use crate::plan::{self, Filled, Scope};
use crate::refusal::{Fault, Verdict};

/// A table.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) scope: Scope,
    /// The app's columns in order.
    pub(crate) columns: Vec<Column>,
    pub(crate) keys: Vec<Key>,
    pub(crate) indexes: Vec<Index>,
    pub(crate) exclusions: Vec<Exclusion>,
    pub(crate) foreign_keys: Vec<ForeignKey>,
    pub(crate) checks: Vec<Check>,
    /// The index on `tenant_id` alone, which exists only where tables are shared.
    pub(crate) tenant_index: Option<String>,
    /// Whether it is divided into partitions.
    pub(crate) partitioned: bool,
    /// Columns that its partition key mentions.
    pub(crate) divided_by: Vec<String>,
    /// The table that it is a partition of.
    pub(crate) parent: Option<String>,
    /// Whether it may have rows: it was there before the migrations that are being read for an app in use.
    pub(crate) lived: bool,
}

/// A column of the app's.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// As the app wrote it, but for the integer behind `serial`.
    pub(crate) type_name: pb::TypeName,
    pub(crate) filled: Filled,
    /// Whether it is an identity column, which says more than [`Filled::Sequence`].
    pub(crate) identity: bool,
    /// Its default in the form that shared tables have.
    pub(crate) default: Option<pb::Node>,
    /// Sequences of tenants that the default draws from.
    pub(crate) draws: Vec<String>,
    /// Whether it takes no NULL, its table's primary key aside.
    pub(crate) not_null: bool,
    /// Columns that a generated one is computed from.
    pub(crate) computed_from: Vec<String>,
    /// Whether it stands after `tenant_id` where tables are shared.
    pub(crate) late: bool,
}

/// A primary key or unique constraint.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
    pub(crate) including: Vec<String>,
    pub(crate) primary: bool,
    /// The partitioned table's index that this one is a part of.
    pub(crate) attached: Option<String>,
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
    /// The statement without names, by which PostgreSQL tells that a partition has such an index already.
    pub(crate) shape: pb::IndexStmt,
    /// The partitioned table's index that this one is a part of.
    pub(crate) attached: Option<String>,
}

/// An exclusion constraint.
#[derive(Debug, Clone)]
pub(crate) struct Exclusion {
    pub(crate) name: String,
    pub(crate) mentions: Vec<String>,
}

/// A foreign key.
#[derive(Debug, Clone)]
pub(crate) struct ForeignKey {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
    pub(crate) parent: String,
    pub(crate) parent_columns: Vec<String>,
    /// The check that stands in for MATCH FULL where tables are shared.
    pub(crate) full: Option<String>,
    /// Whether rows go with those that they refer to.
    pub(crate) deletes: bool,
    /// Whether rows change with those that they refer to.
    pub(crate) updates: bool,
}

/// A check constraint.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) mentions: Vec<String>,
}

impl Column {
    /// The type's last name, and whether it is an array.
    fn type_word(&self) -> String {
        let word = self.type_name.names.iter().rev().find_map(|name| match &name.node {
            Some(NodeEnum::String(text)) => Some(text.sval.as_str()),
            _ => None,
        });
        let dimensions = if self.type_name.array_bounds.is_empty() { "" } else { "[]" };
        format!("{}{dimensions}", word.unwrap_or_default())
    }
}

impl Index {
    /// The column that the whole index starts with.
    fn first_column(&self) -> Option<String> {
        let Some(NodeEnum::IndexElem(first)) = &self.shape.index_params.first()?.node else { return None };
        let whole = self.shape.where_clause.is_none() && !first.name.is_empty();
        whole.then(|| first.name.clone())
    }
}

impl Table {
    pub(crate) fn new(name: &str, scope: Scope) -> Self {
        Self {
            name: name.to_owned(),
            scope,
            columns: Vec::new(),
            keys: Vec::new(),
            indexes: Vec::new(),
            exclusions: Vec::new(),
            foreign_keys: Vec::new(),
            checks: Vec::new(),
            tenant_index: None,
            partitioned: false,
            divided_by: Vec::new(),
            parent: None,
            lived: false,
        }
    }

    pub(crate) fn has_column(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.name == name)
    }

    /// Fails unless the column exists.
    pub(crate) fn column(&self, name: &str) -> Verdict<&Column> {
        self.columns.iter().find(|column| column.name == name).ok_or_else(|| self.no_column(name))
    }

    /// Like [`Self::column`], to change it.
    pub(crate) fn column_mut(&mut self, name: &str) -> Verdict<&mut Column> {
        let fault = self.no_column(name);
        self.columns.iter_mut().find(|column| column.name == name).ok_or(fault)
    }

    fn no_column(&self, name: &str) -> Fault {
        Fault::new(
            format!("table {} has no column {name}", self.name),
            format!("use one of its columns: {}", self.column_names().collect::<Vec<_>>().join(", ")),
        )
    }

    pub(crate) fn column_names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }

    pub(crate) fn primary_key(&self) -> Option<&Key> {
        self.keys.iter().find(|key| key.primary)
    }

    /// Whether `tenant_id` is the last column where tables are shared, so that positions mean the same columns in every
    /// isolation.
    pub(crate) fn tenant_is_last(&self) -> bool {
        !self.columns.iter().any(|column| column.late)
    }

    /// Whether shared SQL finds one tenant's rows by an index.
    pub(crate) fn has_leading_index(&self) -> bool {
        !self.keys.is_empty() || self.tenant_index.is_some() || self.indexes.iter().any(|index| index.leads)
    }

    /// Names of all constraints.
    pub(crate) fn constraints(&self) -> impl Iterator<Item = &str> {
        let keys = self.keys.iter().map(|key| &key.name);
        let foreign_keys = self.foreign_keys.iter().map(|key| &key.name);
        let full = self.foreign_keys.iter().filter_map(|key| key.full.as_ref());
        let exclusions = self.exclusions.iter().map(|exclusion| &exclusion.name);
        let checks = self.checks.iter().map(|check| &check.name);
        keys.chain(foreign_keys).chain(full).chain(exclusions).chain(checks).map(String::as_str)
    }

    /// Names of indexes, in the table's schema like its own name.
    pub(crate) fn index_names(&self) -> impl Iterator<Item = &str> {
        let keys = self.keys.iter().map(|key| &key.name);
        let exclusions = self.exclusions.iter().map(|exclusion| &exclusion.name);
        let indexes = self.indexes.iter().map(|index| &index.name);
        keys.chain(exclusions).chain(indexes).map(String::as_str)
    }

    /// Whether the table or an index of it has this name.
    pub(super) fn takes(&self, name: &str) -> bool {
        self.name == name || self.index_names().any(|taken| taken == name)
    }

    pub(super) fn published(&self, sequences: Vec<String>) -> plan::Table {
        let mut references: Vec<String> = Vec::new();
        for key in &self.foreign_keys {
            if !references.contains(&key.parent) && key.parent != self.name {
                references.push(key.parent.clone());
            }
        }
        let column = |column: &Column| plan::Column {
            name: column.name.clone(),
            filled: column.filled,
            type_name: column.type_word(),
        };
        let keys = self.keys.iter().filter_map(|key| key.columns.first().cloned());
        let indexes = self.indexes.iter().filter_map(Index::first_column);
        plan::Table {
            name: self.name.clone(),
            scope: self.scope,
            columns: self.columns.iter().map(column).collect(),
            sequences,
            primary_key: self.primary_key().map(|key| key.columns.clone()).unwrap_or_default(),
            references,
            partition_of: self.parent.clone(),
            led_by: keys.chain(indexes).collect(),
        }
    }
}
