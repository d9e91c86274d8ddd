//! ALTER TABLE, as far as columns go.

use pg_query::{NodeEnum, protobuf as pb};

use super::alter_table::Change;
use super::place::TablePlace;
use super::{Sql, column, constraint, create_table, identity, partition, refused, sequence};
use crate::expr::{Integer, check_type, must_be_unqualified, walk_opt};
use crate::plan::{Filled, Grant, Scope};
use crate::refusal::{Fault, Verdict};
use crate::schema::{Column, Sequence};
use crate::tree;

impl Change<'_> {
    fn column_names(&self) -> Verdict<Vec<String>> {
        Ok(self.model()?.column_names().map(str::to_owned).collect())
    }

    /// Changes a column of the table and of its partitions.
    fn each_column(&mut self, name: &str, change: impl Fn(&mut Column)) -> Verdict<()> {
        for table in self.family() {
            change(self.schema.table_mut(&table)?.column_mut(name)?);
        }
        Ok(())
    }

    pub(super) fn add_column(&mut self, mut command: pb::AlterTableCmd) -> Verdict<()> {
        let Some(NodeEnum::ColumnDef(mut own)) = command.def.take().and_then(|def| def.node) else {
            return Err(refused::nothing());
        };
        if self.model()?.has_column(&own.colname) {
            if command.missing_ok {
                return Ok(());
            }
            let reason = format!("table {} has a column {} already", self.table, own.colname);
            return Err(Fault::new(reason, "choose another name, or use ALTER COLUMN"));
        }
        command.missing_ok = false;
        let mut columns = self.column_names()?;
        columns.push(own.colname.clone());
        column::check(&mut own, self.schema, &mut TablePlace::new(self.schema, self.table, &columns))?;
        let column::Shared { mut model, definition: mut added, sequence, tenant } =
            column::share(&own, self.table, self.scope, &columns, self.schema)?;
        self.own.push(with_def(&command, NodeEnum::ColumnDef(own)));
        model.late = self.scope == Scope::Tenant;
        let family = self.family();
        if model.identity && family.len() > 1 {
            return Err(Fault::unsupported(
                "an identity column that is added to a table with partitions",
                "use bigserial: PostgreSQL 15 does not have it either",
            ));
        }
        for table in &family {
            self.schema.table_mut(table)?.columns.push(model.clone());
        }
        self.grants.extend(sequence.iter().map(|sequence| Grant::Sequence(sequence.name.clone())));
        self.schema.sequences_mut().extend(sequence);
        self.tenant.extend(tenant);
        self.reframe = true;

        let has_rows = self.scope == Scope::Tenant && self.model()?.lived;
        if has_rows && model.identity {
            return Err(Fault::unsupported(
                "an identity column that is added to a table which may have rows",
                "use bigserial: its numbers are given to the rows that are there, tenant by tenant",
            ));
        }
        let mut keys = column::lift_keys(&mut added);
        create_table::settle_column_checks(&mut added, self.table, self.schema)?;
        keys.sort_by_key(|key| key.contype() == pb::ConstrType::ConstrForeign);
        let default = column::take_called(&mut added);
        let name = added.colname.clone();
        if has_rows && default.is_some() {
            if keys.iter().any(|key| key.contype() == pb::ConstrType::ConstrPrimary) {
                return Err(Fault::unsupported(
                    "a primary key on a column that is added with values of its own",
                    "add the column first, and the primary key in a statement after it",
                ));
            }
            if keys.iter().any(|key| key.contype() == pb::ConstrType::ConstrForeign) {
                return Err(Fault::unsupported(
                    "a foreign key on a column that is added with computed values",
                    "add the column first, and the foreign key in a statement after it",
                ));
            }
            self.fill_later(&mut added);
        }
        self.shared.push(with_def(&command, NodeEnum::ColumnDef(Box::new(added))));
        // In the same statement, whose steps PostgreSQL takes in an order of its own: columns first.
        self.shared.extend(default.map(|default| pb::AlterTableCmd {
            subtype: pb::AlterTableType::AtColumnDefault.into(),
            name,
            behavior: pb::DropBehavior::DropRestrict.into(),
            def: Some(default),
            ..pb::AlterTableCmd::default()
        }));
        for key in keys {
            let add = pb::AlterTableCmd {
                subtype: pb::AlterTableType::AtAddConstraint.into(),
                behavior: pb::DropBehavior::DropRestrict.into(),
                ..pb::AlterTableCmd::default()
            };
            self.add_settled(&add, key)?;
        }
        Ok(())
    }

    /// The rows that are there get the column's default as their tenants, and only then it takes no NULL.
    fn fill_later(&mut self, added: &mut pb::ColumnDef) {
        let before = added.constraints.len();
        added.constraints.retain(|node| !is_not_null(node));
        if added.constraints.len() < before {
            self.after.push(pb::AlterTableCmd {
                subtype: pb::AlterTableType::AtSetNotNull.into(),
                name: added.colname.clone(),
                behavior: pb::DropBehavior::DropRestrict.into(),
                ..pb::AlterTableCmd::default()
            });
        }
        self.filled.push(added.colname.clone());
    }

    /// PostgreSQL drops the table's own keys, checks and indexes on a column with it; CASCADE is for what others have.
    pub(super) fn drop_column(&mut self, mut command: pb::AlterTableCmd) -> Verdict<()> {
        let (table, column) = (self.table.to_owned(), command.name.clone());
        if !self.model()?.has_column(&column) && command.missing_ok {
            return Ok(());
        }
        self.model()?.column(&column)?;
        command.missing_ok = false;
        let cascade = command.behavior() == pb::DropBehavior::DropCascade;
        let uses = |columns: &[String]| columns.contains(&column);
        let computed = self.model()?.columns.iter().find(|other| uses(&other.computed_from));
        if let Some(computed) = computed.filter(|_| !cascade) {
            return Err(Fault::new(
                format!("column {column} of table {table} is used by the generated column {}", computed.name),
                "drop that first, or write CASCADE",
            ));
        }
        let family = self.family();
        self.leave_keys(
            |parent, columns| family.iter().any(|name| name == parent) && uses(columns),
            cascade,
            || format!("the key of column {column} of table {table}"),
        )?;
        let mut gone = Vec::new();
        for name in &family {
            let model = self.schema.table_mut(name)?;
            model.keys.retain(|key| !uses(&key.columns) && !uses(&key.including));
            model.indexes.retain(|index| !uses(&index.mentions));
            model.exclusions.retain(|exclusion| !uses(&exclusion.mentions));
            model.foreign_keys.retain(|key| !uses(&key.columns));
            model.checks.retain(|check| !uses(&check.mentions));
            model.columns.retain(|known| known.name != column && !uses(&known.computed_from));
            gone.extend(self.schema.remove_sequences(|owner| owner.0 == *name && owner.1 == column));
        }
        let drawn = |other: &&Column| other.draws.iter().any(|drawn| gone.contains(drawn));
        if let Some(other) = self.schema.tables().iter().flat_map(|table| &table.columns).find(drawn) {
            return Err(Fault::new(
                format!("the default of column {} draws from the sequence of column {column}", other.name),
                "drop that default first, in a statement of its own",
            ));
        }
        let drop = |name: &String| Sql::Text(format!("DROP SEQUENCE {}", domain::quote_ident(name)));
        self.tenant.extend(gone.iter().map(drop));
        self.reframe = true;
        self.alike(command);
        Ok(())
    }

    pub(super) fn set_default(&mut self, mut command: pb::AlterTableCmd) -> Verdict<()> {
        let column = command.name.clone();
        self.model()?.column(&column)?;
        let columns = self.column_names()?;
        TablePlace::new(self.schema, self.table, &columns).default(&mut command.def)?;
        self.own.push(command.clone());
        let mut place = TablePlace::shared(self.schema, self.table, &columns);
        walk_opt(&mut command.def, &mut place)?;
        let draws = place.take_draws();
        if let Some(drawn) = draws.first().filter(|_| self.scope == Scope::Global) {
            return Err(column::of_tenants(self.table, drawn));
        }
        let default = command.def.as_deref().cloned();
        self.each_column(&column, |model| column::set_default(model, default.as_ref(), draws.clone()))?;
        self.reframe = true;
        self.shared.push(command);
        Ok(())
    }

    pub(super) fn set_not_null(&mut self, command: pb::AlterTableCmd) -> Verdict<()> {
        let not_null = command.subtype() == pb::AlterTableType::AtSetNotNull;
        self.model()?.column(&command.name)?;
        self.each_column(&command.name, |model| model.not_null = not_null)?;
        self.alike(command);
        Ok(())
    }

    /// PostgreSQL changes the type of an identity column's sequence with the column's; the one behind a shared table
    /// would leave the end of the new type where it is, so it is made anew.
    pub(super) fn alter_type(&mut self, mut command: pb::AlterTableCmd) -> Verdict<()> {
        let column = command.name.clone();
        let before = self.model()?.column(&column)?.clone();
        let columns = self.column_names()?;
        let Some(NodeEnum::ColumnDef(change)) = command.def.as_deref_mut().and_then(|def| def.node.as_mut()) else {
            return Err(refused::nothing());
        };
        let schema = &*self.schema;
        if let Some(type_name) = &mut change.type_name {
            check_type(type_name, |table| schema.find(table).is_some())?;
        }
        if let Some(collate) = &change.coll_clause {
            must_be_unqualified(&collate.collname, "the collation")?;
        }
        walk_opt(&mut change.raw_default, &mut TablePlace::new(self.schema, self.table, &columns))?;
        let type_name = change.type_name.clone().unwrap_or_default();
        self.each_column(&column, |model| model.type_name = type_name.clone())?;
        self.reframe = true;
        // The foreign keys of the column are compared anew.
        let table = self.table.to_owned();
        let keys = self.schema.tables().iter().flat_map(|model| {
            let of = model.name.clone();
            model.foreign_keys.iter().map(move |key| (of.clone(), key.clone()))
        });
        let concerned: Vec<(String, String)> = keys
            .filter(|(of, key)| {
                (*of == table && key.columns.contains(&column))
                    || (key.parent == table && key.parent_columns.contains(&column))
            })
            .map(|(of, key)| (of, key.parent))
            .collect();
        for (child, parent) in concerned {
            self.compares(&child);
            self.compares(&parent);
        }
        self.own.push(command.clone());
        if !before.identity || self.scope == Scope::Global {
            self.shared.push(command);
            return Ok(());
        }
        let quoted = (domain::quote_ident(&table), domain::quote_ident(&column));
        self.first.push(Sql::Text(format!("ALTER TABLE {} ALTER COLUMN {} DROP IDENTITY", quoted.0, quoted.1)));
        self.shared.push(command);
        let after = self.model()?.column(&column)?.clone();
        let integer = identity::integer(&after)?;
        let carrier = self.schema.carrier_of(&table, &column).ok_or_else(refused::nothing)?;
        let add = self.adding_identity(&after, carrier, integer)?;
        self.last.push(add);
        if let Some(sequence) = self.schema.sequence_of(&table, &column) {
            let sql = format!("ALTER SEQUENCE {} AS {}", domain::quote_ident(&sequence.name), integer.sql());
            self.tenant.push(Sql::Text(sql));
        }
        Ok(())
    }

    /// Makes a column an identity column again where tables are shared.
    fn adding_identity(&self, column: &Column, carrier: &str, integer: Integer) -> Verdict<Sql> {
        let when = if column.filled == Filled::AlwaysSequence { "ALWAYS" } else { "BY DEFAULT" };
        let words = format!(
            "ALTER TABLE {} ALTER COLUMN {} ADD GENERATED {when} AS IDENTITY",
            domain::quote_ident(self.table),
            domain::quote_ident(&column.name)
        );
        let NodeEnum::AlterTableStmt(mut alter) = tree::own_words(&words)? else { return Err(refused::nothing()) };
        if let Some(NodeEnum::AlterTableCmd(command)) = alter.cmds.first_mut().and_then(|node| node.node.as_mut())
            && let Some(NodeEnum::Constraint(constraint)) = command.def.as_mut().and_then(|def| def.node.as_mut())
        {
            constraint.options = identity::carrier_options(carrier, integer)?;
        }
        Ok(Sql::of(NodeEnum::AlterTableStmt(alter)))
    }

    pub(super) fn drop_expression(&mut self, mut command: pb::AlterTableCmd) -> Verdict<()> {
        let column = command.name.clone();
        if self.model()?.column(&column)?.filled != Filled::Computed {
            if command.missing_ok {
                return Ok(());
            }
            return Err(Fault::new(format!("column {column} is not a generated column"), "correct the name"));
        }
        command.missing_ok = false;
        self.each_column(&column, |model| {
            model.filled = Filled::Written;
            model.computed_from.clear();
        })?;
        self.reframe = true;
        self.alike(command);
        Ok(())
    }

    pub(super) fn add_identity(&mut self, mut command: pb::AlterTableCmd) -> Verdict<()> {
        let column = command.name.clone();
        if self.model()?.column(&column)?.identity {
            return Err(Fault::new(format!("column {column} is an identity column already"), "remove the statement"));
        }
        let Some(NodeEnum::Constraint(identity)) = command.def.as_deref_mut().and_then(|def| def.node.as_mut()) else {
            return Err(refused::nothing());
        };
        constraint::check_identity(identity)?;
        let always = identity.generated_when == "a";
        let mut options = identity.options.clone();
        let name = match sequence::name_among(&mut options)? {
            Some(name) => {
                self.schema.must_be_free(&name)?;
                name
            }
            None => self.schema.choose_relation(self.scope, self.table, Some(&column), "seq", false)?,
        };
        self.own.push(command);
        self.grants.push(Grant::Sequence(name.clone()));
        let model = self.schema.table_mut(self.table)?.column_mut(&column)?;
        model.identity = true;
        model.filled = if always { Filled::AlwaysSequence } else { Filled::Sequence };
        let model = model.clone();
        partition::no_identity_divides(self.table, self.schema)?;
        let integer = identity::integer(&model)?;
        let carrier = (self.scope == Scope::Tenant).then(|| self.schema.choose_carrier(self.table, &column));
        if let Some(carrier) = &carrier {
            self.tenant.push(sequence::create(&name, integer, options)?);
            let add = self.adding_identity(&model, carrier, integer)?;
            self.last.push(add);
        }
        let owner = Some((self.table.to_owned(), column));
        self.schema.sequences_mut().push(Sequence { name, scope: self.scope, owner, carrier });
        self.reframe = true;
        Ok(())
    }

    /// Whether the column may be written to is the column's; how it counts is the tenant's sequence's.
    pub(super) fn set_identity(&mut self, mut command: pb::AlterTableCmd) -> Verdict<()> {
        let column = command.name.clone();
        let identity = self.model()?.column(&column)?.identity;
        let sequence = self.schema.sequence_of(self.table, &column).filter(|_| identity);
        let Some(sequence) = sequence.map(|sequence| sequence.name.clone()) else {
            return Err(Fault::new(
                format!("column {column} is not an identity column"),
                "add GENERATED … AS IDENTITY",
            ));
        };
        self.own.push(command.clone());
        let Some(NodeEnum::List(list)) = command.def.as_deref_mut().and_then(|def| def.node.as_mut()) else {
            return Err(refused::nothing());
        };
        let is_generated = |node: &pb::Node| sequence::option(node).is_some_and(|option| option.defname == "generated");
        let (kept, counted) = std::mem::take(&mut list.items).into_iter().partition(is_generated);
        list.items = kept;
        for node in &list.items {
            let arg = sequence::option(node).and_then(|option| option.arg.as_deref()).and_then(|arg| arg.node.as_ref());
            let always = matches!(arg, Some(NodeEnum::Integer(letter)) if letter.ival == i32::from(b'a'));
            let filled = if always { Filled::AlwaysSequence } else { Filled::Sequence };
            self.schema.table_mut(self.table)?.column_mut(&column)?.filled = filled;
        }
        if !list.items.is_empty() {
            self.shared.push(command);
        }
        self.tenant.extend(sequence::alter(&sequence, counted)?);
        Ok(())
    }

    pub(super) fn drop_identity(&mut self, mut command: pb::AlterTableCmd) -> Verdict<()> {
        let column = command.name.clone();
        let model = self.schema.table_mut(self.table)?.column_mut(&column)?;
        if !model.identity {
            if command.missing_ok {
                return Ok(());
            }
            return Err(Fault::new(format!("column {column} is not an identity column"), "remove the statement"));
        }
        command.missing_ok = false;
        model.identity = false;
        model.filled = Filled::Written;
        let table = self.table.to_owned();
        for name in self.schema.remove_sequences(|owner| owner.0 == table && owner.1 == column) {
            self.tenant.push(Sql::Text(format!("DROP SEQUENCE {}", domain::quote_ident(&name))));
        }
        self.reframe = true;
        self.alike(command);
        Ok(())
    }

    /// Adds a constraint in the form that shared tables have, with what follows from it.
    pub(super) fn add_settled(&mut self, command: &pb::AlterTableCmd, mut added: pb::Constraint) -> Verdict<()> {
        let parent = added.pktable.as_ref().map(|parent| parent.relname.clone());
        let compares = parent.filter(|_| !added.skip_validation);
        let check = constraint::settle(&mut added, self.table, self.schema)?;
        let name = added.conname.clone();
        if let Some(parent) = compares {
            self.compares(self.table);
            self.compares(&parent);
        }
        let is_index = matches!(
            added.contype(),
            pb::ConstrType::ConstrPrimary | pb::ConstrType::ConstrUnique | pb::ConstrType::ConstrExclusion
        );
        self.shared.push(with_def(command, NodeEnum::Constraint(Box::new(added))));
        self.shared.extend(check.map(|check| with_def(command, NodeEnum::Constraint(Box::new(check)))));
        if is_index && !self.only {
            self.last.extend(partition::index_follows(self.table, &name, self.schema)?);
        } else if !is_index && !self.only {
            partition::constraints_follow(self.table, self.schema)?;
        }
        Ok(())
    }
}

pub(super) fn with_def(command: &pb::AlterTableCmd, def: NodeEnum) -> pb::AlterTableCmd {
    pb::AlterTableCmd { def: Some(Box::new(tree::node(def))), ..command.clone() }
}

fn is_not_null(node: &pb::Node) -> bool {
    matches!(&node.node, Some(NodeEnum::Constraint(constraint)) if constraint.contype() == pb::ConstrType::ConstrNotnull)
}
