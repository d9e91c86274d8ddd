//! DROP TABLE, DROP INDEX and DROP SEQUENCE.

use domain::quote_ident;
use pg_query::{NodeEnum, protobuf as pb};

use super::{Rewrite, Sql, copy_view, view};
use crate::plan::Scope;
use crate::refusal::{Fault, Verdict};
use crate::schema::{Schema, Table};
use crate::tree;

pub(super) fn apply(statement: &pb::DropStmt, schema: &mut Schema) -> Verdict<Rewrite> {
    let mut own = statement.clone();
    // It cannot run inside a migration's transaction, and leaves the same behind.
    own.concurrent = false;
    let mut names = Vec::new();
    for object in &mut own.objects {
        names.push(unqualified(object)?);
    }
    let exists = |name: &String| match own.remove_type() {
        pb::ObjectType::ObjectTable => schema.find(name).map(|table| table.scope),
        pb::ObjectType::ObjectIndex => scope_of_index(name, schema),
        _ => schema.sequence(name).map(|sequence| sequence.scope),
    };
    let scopes: Vec<Option<Scope>> = names.iter().map(exists).collect();
    if own.missing_ok {
        let mut known = scopes.iter().map(Option::is_some);
        own.objects.retain(|_| known.next().unwrap_or_default());
        let mut known = scopes.iter().map(Option::is_some);
        names.retain(|_| known.next().unwrap_or_default());
    }
    let mut scopes = scopes.into_iter().flatten();
    let scope = scopes.next().unwrap_or(Scope::Tenant);
    if scopes.any(|other| other != scope) {
        return Err(Fault::unsupported("one DROP for global and tenants' objects", "drop them in two statements"));
    }
    if own.objects.is_empty() {
        return Ok(Rewrite::nothing(scope));
    }
    let cascade = own.behavior() == pb::DropBehavior::DropCascade;
    let mut drop = Drop { schema, cascade, scope, names: &names, before: Vec::new(), gone: Vec::new() };
    let kind = own.remove_type();
    match kind {
        pb::ObjectType::ObjectTable => names.iter().try_for_each(|name| drop.table(name))?,
        pb::ObjectType::ObjectIndex => names.iter().try_for_each(|name| drop.index(name))?,
        _ => names.iter().try_for_each(|name| drop.sequence(name))?,
    }
    let Drop { before, gone, .. } = drop;
    let mut rewrite = Rewrite::nothing(scope);
    let statement = NodeEnum::DropStmt(own);
    rewrite.own.push(Sql::of(statement.clone()));
    rewrite.shared = before;
    if kind != pb::ObjectType::ObjectSequence || scope == Scope::Global {
        rewrite.shared.push(Sql::of(statement));
    }
    if scope == Scope::Tenant {
        rewrite.tenant.extend(gone.iter().map(|name| Sql::Text(format!("DROP SEQUENCE {}", quote_ident(name)))));
    }
    Ok(rewrite)
}

/// The object's name, after taking `public.` off it.
fn unqualified(object: &mut pb::Node) -> Verdict<String> {
    let Some(NodeEnum::List(list)) = &mut object.node else { return Err(super::refused::nothing()) };
    let names = tree::strings(&list.items);
    match names.as_slice() {
        [name] => Ok(name.clone()),
        [schema, name] if schema == "public" => {
            list.items.remove(0);
            Ok(name.clone())
        }
        _ => Err(Fault::unsupported(format!("the name {}", names.join(".")), "leave the schema out")),
    }
}

fn scope_of_index(name: &str, schema: &Schema) -> Option<Scope> {
    schema.tables().iter().find(|table| table.index_names().any(|index| index == name)).map(|table| table.scope)
}

/// One DROP being followed through the schema.
struct Drop<'a> {
    schema: &'a mut Schema,
    cascade: bool,
    scope: Scope,
    /// What the statement names.
    names: &'a [String],
    /// What shared tables need before the statement.
    before: Vec<Sql>,
    /// Sequences that go.
    gone: Vec<String>,
}

impl Drop<'_> {
    fn table(&mut self, name: &str) -> Verdict<()> {
        // It may have gone as a partition of one named before.
        if self.schema.find(name).is_none() && !self.before.is_empty() {
            return Ok(());
        }
        self.schema.table(name)?;
        let family = self.schema.family(name);
        let going = |table: &Table| family.contains(&table.name) || self.names.contains(&table.name);
        let child = self
            .schema
            .tables()
            .iter()
            .find(|table| !going(table) && table.foreign_keys.iter().any(|key| family.contains(&key.parent)));
        if let Some(child) = child.filter(|_| !self.cascade) {
            return Err(Fault::new(
                format!("table {} refers to table {name}", child.name),
                format!("drop {} or its foreign key in a statement before, or write CASCADE", child.name),
            ));
        }
        let children: Vec<String> =
            self.schema.tables().iter().filter(|table| !going(table)).map(|table| table.name.clone()).collect();
        for child in children {
            self.foreign_keys(&child, |parent, _| family.iter().any(|name| name == parent))?;
        }
        for name in &family {
            self.before.extend(copy_view::remove(self.schema.table(name)?));
        }
        // A partition's default draws from its table's sequence, so that both are away before anybody asks who draws.
        let sequences: Vec<String> = family.iter().flat_map(|name| self.schema.remove(name)).collect();
        self.no_longer_drawn(&sequences)?;
        self.gone.extend(sequences);
        family.into_iter().try_for_each(|name| view::forget_readers("table", name, self.cascade, self.schema))
    }

    /// Forgets a table's foreign keys to what goes; the check beside one is of síndico's making and so does not go by
    /// itself.
    fn foreign_keys(&mut self, table: &str, goes: impl Fn(&str, &[String]) -> bool) -> Verdict<()> {
        let model = self.schema.table_mut(table)?;
        let (gone, kept) = std::mem::take(&mut model.foreign_keys)
            .into_iter()
            .partition::<Vec<_>, _>(|key| goes(&key.parent, &key.parent_columns));
        model.foreign_keys = kept;
        for check in gone.into_iter().filter_map(|key| key.full) {
            let sql = format!("ALTER TABLE {} DROP CONSTRAINT {}", quote_ident(table), quote_ident(&check));
            self.before.push(Sql::Text(sql));
        }
        Ok(())
    }

    fn index(&mut self, name: &str) -> Verdict<()> {
        let Some(table) = self.schema.tables().iter().find(|table| table.index_names().any(|index| index == name))
        else {
            return Err(Fault::new(format!("there is no index {name} at this point"), "correct the name"));
        };
        let owner = table.name.clone();
        let Some(index) = table.indexes.iter().find(|index| index.name == name) else {
            return Err(Fault::new(
                format!("the index {name} belongs to a constraint of table {owner}"),
                format!("write ALTER TABLE {owner} DROP CONSTRAINT {name}"),
            ));
        };
        if let Some(whole) = &index.attached {
            return Err(Fault::new(
                format!("the index {name} is a part of {whole}"),
                format!("drop {whole}, which takes its parts with it"),
            ));
        }
        let key = index.key.clone();
        if let Some(key) = key {
            let same = |columns: &[String]| columns.len() == key.len() && columns.iter().all(|c| key.contains(c));
            let refers =
                |table: &Table| table.foreign_keys.iter().any(|key| key.parent == owner && same(&key.parent_columns));
            // Another key over the same columns may be the one that the foreign key uses; PostgreSQL will say so.
            let spare = self.schema.table(&owner)?.keys.iter().any(|key| same(&key.columns));
            let children: Vec<String> =
                self.schema.tables().iter().filter(|table| refers(table)).map(|table| table.name.clone()).collect();
            if let Some(child) = children.first().filter(|_| !self.cascade && !spare) {
                return Err(Fault::new(
                    format!("a foreign key of table {child} relies on the index {name}"),
                    "drop the foreign key first, or write CASCADE",
                ));
            }
            for child in children.iter().filter(|_| !spare) {
                self.foreign_keys(child, |parent, columns| parent == owner && same(columns))?;
            }
        }
        self.schema.remove_index(name);
        Ok(())
    }

    fn sequence(&mut self, name: &str) -> Verdict<()> {
        let Some(sequence) = self.schema.sequence(name) else {
            return Err(Fault::new(format!("there is no sequence {name} at this point"), "correct the name"));
        };
        if let Some((table, column)) = &sequence.owner
            && self.schema.table(table)?.column(column)?.identity
        {
            return Err(Fault::new(
                format!("the identity column {table}.{column} needs the sequence {name}"),
                format!("write ALTER TABLE {table} ALTER COLUMN {column} DROP IDENTITY"),
            ));
        }
        let name = name.to_owned();
        self.schema.sequences_mut().retain(|sequence| sequence.name != name);
        self.no_longer_drawn(std::slice::from_ref(&name))?;
        self.gone.push(name);
        Ok(())
    }

    /// Takes the defaults away that draw from sequences which go, as CASCADE does.
    fn no_longer_drawn(&mut self, sequences: &[String]) -> Verdict<()> {
        let draws = |table: &Table| {
            table.columns.iter().any(|column| column.draws.iter().any(|drawn| sequences.contains(drawn)))
        };
        let tables: Vec<Table> = self.schema.tables().iter().filter(|table| draws(table)).cloned().collect();
        if let Some(table) = tables.first().filter(|table| !self.cascade && !self.names.contains(&table.name)) {
            return Err(Fault::new(
                format!("a default of table {} draws from the sequence {}", table.name, sequences.join(", ")),
                "drop the default first, or write CASCADE",
            ));
        }
        for before in tables.into_iter().filter(|table| !self.names.contains(&table.name)) {
            let mut change = Vec::new();
            for column in &mut self.schema.table_mut(&before.name)?.columns {
                if column.draws.iter().any(|drawn| sequences.contains(drawn)) {
                    super::column::set_default(column, None, Vec::new());
                    let (table, column) = (quote_ident(&before.name), quote_ident(&column.name));
                    change.push(Sql::Text(format!("ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT")));
                }
            }
            if self.scope == Scope::Tenant {
                let after = [before.name.clone()];
                let (statements, _) = copy_view::around(&[before], change, &after, self.schema)?;
                self.before.extend(statements);
            }
        }
        Ok(())
    }
}
