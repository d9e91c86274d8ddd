//! ALTER TABLE, but for renames. Columns are in [`super::alter_column`], constraints in [`super::alter_constraint`],
//! partitions in [`super::partition`].

use domain::quote_ident;
use pg_query::{NodeEnum, protobuf as pb};

use super::{Filling, Rewrite, Sql, copy_view, identity, partition, refused, storage, unqualify};
use crate::plan::{Grant, Scope};
use crate::refusal::{Fault, Verdict};
use crate::schema::{Schema, Table};
use crate::tree;

pub(super) fn apply(statement: &pb::AlterTableStmt, schema: &mut Schema) -> Verdict<Rewrite> {
    let mut own = statement.clone();
    let relation = own.relation.as_mut().ok_or_else(refused::nothing)?;
    unqualify(relation)?;
    let (name, only) = (relation.relname.clone(), !relation.inh);
    if schema.tables().iter().any(|table| table.index_names().any(|index| index == name)) {
        return super::alter_index::apply(own, &name, schema);
    }
    if schema.sequence(&name).is_some() {
        return Err(Fault::unsupported("this form of ALTER for a sequence", "write ALTER SEQUENCE with its options"));
    }
    if own.objtype() != pb::ObjectType::ObjectTable {
        return Err(Fault::unsupported("ALTER of this", "alter tables, indexes and sequences only"));
    }
    let scope = match schema.table(&name) {
        Ok(table) => table.scope,
        Err(fault) if fault.echo || !own.missing_ok => return Err(fault),
        Err(_) => return Ok(Rewrite::dropped(format!("there is no table {name} at this point"))),
    };
    own.missing_ok = false;
    let family = if only { vec![name.clone()] } else { schema.family(&name) };
    let before: Vec<Table> = family.iter().filter_map(|name| schema.find(name).cloned()).collect();
    let mut change = Change::new(&name, only, scope, schema);
    for node in std::mem::take(&mut own.cmds) {
        let Some(NodeEnum::AlterTableCmd(command)) = node.node else { return Err(refused::nothing()) };
        change.command(*command)?;
    }
    let Change { shared, own: kept, first, last, tenant, grants, reframe, compared, filled, after, .. } = change;
    let statement = |commands: Vec<pb::AlterTableCmd>| {
        let cmds = commands.into_iter().map(|command| tree::node(NodeEnum::AlterTableCmd(Box::new(command))));
        let alter = pb::AlterTableStmt { cmds: cmds.collect(), ..own.clone() };
        (!alter.cmds.is_empty()).then(|| Sql::of(NodeEnum::AlterTableStmt(alter)))
    };
    let mut rewrite = Rewrite::nothing(scope);
    if kept.is_empty() && shared.is_empty() {
        rewrite.note = Some("it changes nothing here".to_owned());
    }
    rewrite.own.extend(statement(kept.clone()));
    if scope == Scope::Global {
        rewrite.shared.extend(statement(kept));
        return Ok(rewrite);
    }
    rewrite.tenant = tenant;
    rewrite.grants = grants;
    rewrite.shared = first.into_iter().chain(statement(shared)).chain(last).collect();
    if !compared.is_empty() {
        rewrite.shared = seen_by_owner(&compared, rewrite.shared);
    }
    if !filled.is_empty() {
        let columns = filled.iter().map(|column| format!("{} = DEFAULT", quote_ident(column))).collect::<Vec<_>>();
        let rows = format!("UPDATE {} SET {}", quote_ident(&name), columns.join(", "));
        rewrite.fill = Some(Filling { rows, then: statement(after) });
    }
    if reframe {
        let (shared, grants) = copy_view::around(&before, rewrite.shared, &family, schema)?;
        rewrite.shared = shared;
        rewrite.grants.extend(grants);
    }
    Ok(rewrite)
}

/// Under FORCE the owner sees no row, and PostgreSQL 15 then takes a new foreign key for valid without having compared
/// anything (tried on 15.20). So FORCE pauses; the tenants' roles are under row-level security all the same.
fn seen_by_owner(tables: &[String], statements: Vec<Sql>) -> Vec<Sql> {
    let turn = |word: &'static str| {
        let sql = move |table: &String| format!("ALTER TABLE {} {word} ROW LEVEL SECURITY", quote_ident(table));
        tables.iter().map(sql).map(Sql::Text)
    };
    turn("NO FORCE").chain(statements).chain(turn("FORCE")).collect()
}

/// One ALTER TABLE being followed through the schema.
pub(super) struct Change<'a> {
    pub(super) table: &'a str,
    /// Whether ONLY keeps the change from the table's partitions.
    pub(super) only: bool,
    pub(super) scope: Scope,
    pub(super) schema: &'a mut Schema,
    /// Commands for shared tables.
    pub(super) shared: Vec<pb::AlterTableCmd>,
    /// Commands for tables of a tenant's own.
    pub(super) own: Vec<pb::AlterTableCmd>,
    /// What shared tables need before the commands.
    pub(super) first: Vec<Sql>,
    /// What shared tables need after them.
    pub(super) last: Vec<Sql>,
    /// What each tenant's sequences need.
    pub(super) tenant: Vec<Sql>,
    pub(super) grants: Vec<Grant>,
    /// Whether the view that COPY writes through has to follow.
    pub(super) reframe: bool,
    /// Tables whose rows PostgreSQL compares, as it does for a foreign key.
    pub(super) compared: Vec<String>,
    /// Columns whose values the rows that are there do not have yet.
    pub(super) filled: Vec<String>,
    /// Commands for shared tables once they have.
    pub(super) after: Vec<pb::AlterTableCmd>,
}

impl<'a> Change<'a> {
    fn new(table: &'a str, only: bool, scope: Scope, schema: &'a mut Schema) -> Self {
        Self {
            table,
            only,
            scope,
            schema,
            shared: Vec::new(),
            own: Vec::new(),
            first: Vec::new(),
            last: Vec::new(),
            tenant: Vec::new(),
            grants: Vec::new(),
            reframe: false,
            compared: Vec::new(),
            filled: Vec::new(),
            after: Vec::new(),
        }
    }

    /// The tables that the change reaches.
    pub(super) fn family(&self) -> Vec<String> {
        if self.only { vec![self.table.to_owned()] } else { self.schema.family(self.table) }
    }

    pub(super) fn model(&self) -> Verdict<&Table> {
        self.schema.table(self.table)
    }

    /// The same command in every isolation.
    pub(super) fn alike(&mut self, command: pb::AlterTableCmd) {
        self.shared.push(command.clone());
        self.own.push(command);
    }

    /// Notes that PostgreSQL compares the rows of a table and its partitions, if tenants have any.
    pub(super) fn compares(&mut self, table: &str) {
        for name in self.schema.family(table) {
            let of_tenants = self.schema.find(&name).is_some_and(|table| table.scope == Scope::Tenant);
            if of_tenants && !self.compared.contains(&name) {
                self.compared.push(name);
            }
        }
    }

    fn command(&mut self, command: pb::AlterTableCmd) -> Verdict<()> {
        use pb::AlterTableType as Kind;
        match command.subtype() {
            Kind::AtAddColumn => self.add_column(command),
            Kind::AtDropColumn => self.drop_column(command),
            Kind::AtColumnDefault => self.set_default(command),
            Kind::AtAlterColumnType => self.alter_type(command),
            Kind::AtDropExpression => self.drop_expression(command),
            Kind::AtAddIdentity => self.add_identity(command),
            Kind::AtSetIdentity => self.set_identity(command),
            Kind::AtDropIdentity => self.drop_identity(command),
            Kind::AtSetNotNull | Kind::AtDropNotNull => self.set_not_null(command),
            Kind::AtSetStatistics
            | Kind::AtSetOptions
            | Kind::AtResetOptions
            | Kind::AtSetStorage
            | Kind::AtSetCompression => {
                self.model()?.column(&command.name)?;
                self.alike(command);
                Ok(())
            }
            Kind::AtAddConstraint => self.add_constraint(command),
            Kind::AtDropConstraint => self.drop_constraint(command),
            Kind::AtValidateConstraint => self.validate_constraint(command),
            Kind::AtAlterConstraint => self.alter_constraint(command),
            Kind::AtClusterOn | Kind::AtDropCluster | Kind::AtReplicaIdentity => {
                self.alike(command);
                Ok(())
            }
            Kind::AtSetRelOptions | Kind::AtResetRelOptions => {
                if let Some(NodeEnum::List(options)) = command.def.as_ref().and_then(|def| def.node.as_ref()) {
                    storage::check_table(&options.items)?;
                }
                self.alike(command);
                Ok(())
            }
            // Tables are logged in every isolation, whatever the app says (see create_table), and DETACH runs to its end
            // at once. No table has OIDs since PostgreSQL 12.
            Kind::AtSetLogged | Kind::AtSetUnLogged | Kind::AtDetachPartitionFinalize | Kind::AtDropOids => Ok(()),
            Kind::AtSetTableSpace => storage::check_tablespace(&command.name),
            Kind::AtSetAccessMethod => storage::check_access_method(&command.name),
            Kind::AtEnableTrig | Kind::AtDisableTrig | Kind::AtEnableTrigUser | Kind::AtDisableTrigUser => {
                self.switch_trigger(command)
            }
            Kind::AtEnableAlwaysTrig | Kind::AtEnableReplicaTrig => Err(super::trigger::fires_always()),
            Kind::AtEnableTrigAll | Kind::AtDisableTrigAll => Err(Fault::unsupported(
                "ENABLE or DISABLE TRIGGER ALL",
                "write USER for ALL: the triggers of foreign keys are a superuser's to switch off",
            )),
            Kind::AtAttachPartition => partition::attach(self, command),
            Kind::AtDetachPartition => partition::detach(self, command),
            Kind::AtAddInherit | Kind::AtDropInherit | Kind::AtAddOf | Kind::AtDropOf => Err(Fault::unsupported(
                "INHERIT or OF",
                "repeat the columns, or use declarative partitioning (PARTITION BY)",
            )),
            _ => Err(Fault::unsupported(
                "this form of ALTER TABLE",
                "use what changes columns, constraints, partitions, triggers and storage parameters",
            )),
        }
    }

    /// síndico's trigger for identity columns stays on whatever happens to the app's.
    fn switch_trigger(&mut self, command: pb::AlterTableCmd) -> Verdict<()> {
        super::trigger::must_be_the_apps(&command.name)?;
        if command.subtype() == pb::AlterTableType::AtDisableTrigUser {
            for name in self.family() {
                self.last.extend(identity::keep_on(self.schema.table(&name)?));
            }
        }
        self.alike(command);
        Ok(())
    }
}
