//! ALTER TABLE, as far as constraints go.

use domain::quote_ident;
use pg_query::{NodeEnum, protobuf as pb};

use super::alter_column::with_def;
use super::alter_table::Change;
use super::place::TablePlace;
use super::{Sql, constraint, refused};
use crate::refusal::{Fault, Verdict};
use crate::schema::Key;

impl Change<'_> {
    pub(super) fn add_constraint(&mut self, mut command: pb::AlterTableCmd) -> Verdict<()> {
        let Some(NodeEnum::Constraint(mut own)) = command.def.take().and_then(|def| def.node) else {
            return Err(refused::nothing());
        };
        if !own.indexname.is_empty() {
            return self.use_index(&command, *own);
        }
        let columns: Vec<String> = self.model()?.column_names().map(str::to_owned).collect();
        constraint::check(&mut own, &mut TablePlace::new(self.schema, self.table, &columns))?;
        self.own.push(with_def(&command, NodeEnum::Constraint(own.clone())));
        self.add_settled(&command, *own)
    }

    /// A constraint made of an index that is there, which has `tenant_id` already and takes the constraint's name.
    fn use_index(&mut self, command: &pb::AlterTableCmd, own: pb::Constraint) -> Verdict<()> {
        let primary = own.contype() == pb::ConstrType::ConstrPrimary;
        let index_name = own.indexname.clone();
        let model = self.model()?;
        let Some(index) = model.indexes.iter().find(|index| index.name == index_name) else {
            return Err(Fault::new(
                format!("table {} has no index {index_name} at this point", self.table),
                "create it in an earlier statement, or correct the name",
            ));
        };
        let Some(columns) = index.key.clone() else {
            return Err(Fault::new(
                format!("the index {index_name} is not unique, or has a condition or an expression"),
                "make a unique index of plain columns, or list the columns in the constraint",
            ));
        };
        if primary && model.primary_key().is_some() {
            return Err(Fault::new(format!("table {} has a primary key already", self.table), "keep one of the two"));
        }
        let including: Vec<String> =
            index.mentions.iter().filter(|column| !columns.contains(column)).cloned().collect();
        let attached = index.attached.clone();
        let name = if own.conname.is_empty() { index_name.clone() } else { own.conname.clone() };
        constraint::free_constraint(&name, self.table, self.schema)?;
        if name != index_name {
            self.schema.must_be_free(&name)?;
        }
        let model = self.schema.table_mut(self.table)?;
        model.indexes.retain(|index| index.name != index_name);
        model.keys.push(Key { name, columns, including, primary, attached });
        self.alike(with_def(command, NodeEnum::Constraint(Box::new(own))));
        Ok(())
    }

    pub(super) fn drop_constraint(&mut self, mut command: pb::AlterTableCmd) -> Verdict<()> {
        let (name, table) = (command.name.clone(), self.table.to_owned());
        let model = self.model()?;
        if !model.constraints().any(|known| known == name) {
            if command.missing_ok {
                return Ok(());
            }
            return Err(Fault::new(format!("table {table} has no constraint {name}"), "correct the name"));
        }
        command.missing_ok = false;
        let cascade = command.behavior() == pb::DropBehavior::DropCascade;
        if let Some(key) = model.keys.iter().find(|key| key.name == name) {
            let wanted = key.columns.clone();
            let same = |columns: &[String]| {
                columns.len() == wanted.len() && columns.iter().all(|column| wanted.contains(column))
            };
            // Another key over the same columns may be the one that a foreign key uses; PostgreSQL will say so.
            let spare = model.keys.iter().any(|other| other.name != name && same(&other.columns))
                || model.indexes.iter().filter_map(|index| index.key.as_deref()).any(same);
            if !spare {
                self.leave_keys(
                    |parent, columns| parent == table && same(columns),
                    cascade,
                    || format!("the columns of {name}"),
                )?;
            }
        }
        let model = self.schema.table_mut(&table)?;
        let full = model.foreign_keys.iter().find(|key| key.name == name).and_then(|key| key.full.clone());
        model.exclusions.retain(|exclusion| exclusion.name != name);
        self.schema.remove_key(&name);
        for member in self.family() {
            let model = self.schema.table_mut(&member)?;
            model.foreign_keys.retain(|key| key.name != name);
            model.checks.retain(|check| check.name != name);
        }
        self.alike(command.clone());
        self.shared.extend(full.map(|full| pb::AlterTableCmd { name: full, ..command }));
        Ok(())
    }

    /// Forgets the foreign keys that rely on what goes, which only CASCADE allows.
    pub(super) fn leave_keys(
        &mut self,
        goes: impl Fn(&str, &[String]) -> bool,
        cascade: bool,
        what: impl Fn() -> String,
    ) -> Verdict<()> {
        let own_column = self.table.to_owned();
        let mut left = Vec::new();
        for child in self.schema.tables_mut() {
            let (gone, kept) = std::mem::take(&mut child.foreign_keys)
                .into_iter()
                .partition::<Vec<_>, _>(|key| goes(&key.parent, &key.parent_columns));
            child.foreign_keys = kept;
            if let Some(key) = gone.first().filter(|_| !cascade && child.name != own_column) {
                return Err(Fault::new(
                    format!("the foreign key {} of table {} refers to {}", key.name, child.name, what()),
                    "drop the foreign key first, in a statement of its own, or write CASCADE",
                ));
            }
            left.extend(gone.into_iter().filter_map(|key| key.full).map(|full| (child.name.clone(), full)));
        }
        for (child, check) in left {
            let sql = format!("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", quote_ident(&child), quote_ident(&check));
            self.last.push(Sql::Text(sql));
        }
        Ok(())
    }

    pub(super) fn validate_constraint(&mut self, command: pb::AlterTableCmd) -> Verdict<()> {
        let model = self.model()?;
        if !model.constraints().any(|known| known == command.name) {
            let reason = format!("table {} has no constraint {}", self.table, command.name);
            return Err(Fault::new(reason, "correct the name"));
        }
        let key = model.foreign_keys.iter().find(|key| key.name == command.name).cloned();
        if let Some(key) = key {
            self.compares(self.table);
            self.compares(&key.parent);
            self.shared.extend(key.full.map(|full| pb::AlterTableCmd { name: full, ..command.clone() }));
        }
        self.alike(command);
        Ok(())
    }

    /// DEFERRABLE and its kin, which foreign keys alone can change.
    pub(super) fn alter_constraint(&mut self, command: pb::AlterTableCmd) -> Verdict<()> {
        let Some(NodeEnum::AtalterConstraint(alter)) = command.def.as_deref().and_then(|def| def.node.as_ref()) else {
            return Err(refused::nothing());
        };
        if alter.alter_enforceability || alter.alter_inheritability {
            return Err(Fault::unsupported("ENFORCED and INHERIT", "leave it out: PostgreSQL 15 does not have it"));
        }
        if !self.model()?.foreign_keys.iter().any(|key| key.name == alter.conname) {
            let reason = format!("table {} has no foreign key {}", self.table, alter.conname);
            return Err(Fault::new(reason, "correct the name; other constraints cannot be altered"));
        }
        self.alike(command);
        Ok(())
    }
}
