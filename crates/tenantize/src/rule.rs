//! What each kind of statement becomes. One file per kind; what has no file is refused.

use pg_query::{NodeEnum, protobuf as pb};

use crate::plan::{Grant, Scope};
use crate::refusal::{Fault, Verdict};
use crate::schema::Schema;
use crate::tree;

mod alter_column;
mod alter_constraint;
mod alter_index;
mod alter_table;
mod body;
mod column;
mod comment;
mod composite;
mod constraint;
mod copy_data;
mod copy_view;
mod create_index;
mod create_table;
mod dml;
mod do_block;
mod domain;
mod draw;
mod drop;
mod drop_object;
mod enum_type;
mod exclusion;
mod extension;
mod fitting;
mod foreign_key;
mod from;
mod function;
mod identity;
mod lasting;
pub(crate) mod owner_rights;
mod partition;
mod place;
mod plpgsql;
mod privilege;
mod refused;
mod rename;
mod sequence;
mod setting;
mod statistics;
mod storage;
mod transaction;
mod trigger;
mod view;

pub(crate) use lasting::{Filled, Lasting, changes_nothing, of as lasting};

/// Where a statement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A file of `migrations/`.
    Migration,
    /// A file of `seed/`.
    Seed,
}

/// One statement, rewritten.
#[derive(Debug)]
pub(crate) struct Rewrite {
    pub(crate) scope: Scope,
    pub(crate) shared: Vec<Sql>,
    pub(crate) own: Vec<Sql>,
    /// For each tenant that shares tables, in its schema `s_<hex>`.
    pub(crate) tenant: Vec<Sql>,
    pub(crate) grants: Vec<Grant>,
    pub(crate) note: Option<String>,
    /// Whether it is about rows, and which.
    pub(crate) rows: Option<Rows>,
    /// What rows that are there already need after it, where tenants share the table.
    pub(crate) fill: Option<Filling>,
}

/// Values for a column that was just added to a table with rows.
#[derive(Debug)]
pub(crate) struct Filling {
    /// As each tenant.
    rows: String,
    /// What holds only after that.
    then: Option<Sql>,
}

/// The same as text.
#[derive(Debug)]
pub(crate) struct Fill {
    pub(crate) rows: String,
    pub(crate) then: Vec<String>,
}

impl Filling {
    pub(crate) fn written(self) -> Verdict<Fill> {
        let write = |sql: Sql| match sql {
            Sql::Tree(node) => tree::write(&node),
            Sql::Text(text) => Ok(text),
        };
        Ok(Fill { rows: self.rows, then: self.then.map(write).transpose()?.into_iter().collect() })
    }
}

/// A statement about rows. Those of tenants run once per tenant, when all migrations have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rows {
    /// INSERT, UPDATE, DELETE and what they are part of.
    Written,
    /// The rows of one table in a dump.
    Copied(String),
    /// INSERT INTO one table of values that depend on nothing.
    Inserted(String),
    /// Rows of one table, whose numbers the sequences of columns left out give: counters set before stay before.
    Drawn(String),
    /// INSERT INTO one table of values that a sequence gives by name, which has to stay where it is.
    Calling(String),
    /// Where a sequence goes on in a dump.
    Counter,
}

/// A statement to run.
#[derive(Debug)]
pub(crate) enum Sql {
    /// A tree, which is written as the app wrote it if nothing in it changed.
    Tree(Box<pb::Node>),
    /// A statement of síndico's own.
    Text(String),
}

impl Sql {
    /// A statement given by its tree.
    fn of(kind: NodeEnum) -> Self {
        Self::Tree(Box::new(crate::tree::node(kind)))
    }
}

impl Rewrite {
    /// Nothing to run, which a rule then fills.
    fn nothing(scope: Scope) -> Self {
        let (shared, own, tenant, grants) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { scope, shared, own, tenant, grants, note: None, rows: None, fill: None }
    }

    /// The same statement in every isolation.
    fn alike(scope: Scope, kind: NodeEnum) -> Self {
        Self::differing(scope, kind.clone(), kind)
    }

    /// One statement for shared tables and another for a tenant's own.
    fn differing(scope: Scope, shared: NodeEnum, own: NodeEnum) -> Self {
        Self { shared: vec![Sql::of(shared)], own: vec![Sql::of(own)], ..Self::nothing(scope) }
    }

    /// Nothing to run, and why.
    pub(crate) fn dropped(note: impl Into<String>) -> Self {
        Self { note: Some(note.into()), ..Self::nothing(Scope::Tenant) }
    }
}

impl Sql {
    /// The same statement once more.
    fn duplicate(&self) -> Self {
        match self {
            Self::Tree(tree) => Self::Tree(tree.clone()),
            Self::Text(text) => Self::Text(text.clone()),
        }
    }
}

/// A statement as it was read.
#[derive(Clone, Copy)]
pub(crate) struct Read<'a> {
    pub(crate) tree: &'a pb::Node,
    pub(crate) text: &'a str,
    /// What stands below COPY … FROM stdin.
    pub(crate) data: Option<&'a str>,
    /// Whether `-- sindico: global` stands before it.
    pub(crate) global: bool,
}

/// Applies the rule for one statement.
///
/// On an error the schema may be half changed and is to be thrown away.
pub(crate) fn apply(read: Read<'_>, stage: Stage, schema: &mut Schema) -> Verdict<Rewrite> {
    let Some(kind) = &read.tree.node else { return Err(refused::nothing()) };
    if read.global && !may_be_global(kind) {
        return Err(Fault::new(
            "the marker 'sindico: global' is about tables and types, and this statement creates none",
            "put it right before the CREATE TABLE or CREATE TYPE, or remove it",
        ));
    }
    if let Some(rewrite) = in_any_file(read.tree, kind, read.data, schema) {
        return rewrite;
    }
    if stage == Stage::Seed {
        return Err(refused::in_seed(kind));
    }
    let rewrite = in_migrations(read, kind, schema)?;
    if rewrite.scope == Scope::Global {
        let types = tree::type_names(read.tree);
        if let Some(name) = schema.objects.of_tenants(types.iter().map(String::as_str)) {
            return Err(Fault::new(
                format!("the type {name} is each tenant's own, and something global cannot depend on it"),
                format!("put '-- sindico: global' before the CREATE TYPE or CREATE DOMAIN of {name}"),
            ));
        }
    }
    Ok(rewrite)
}

fn may_be_global(kind: &NodeEnum) -> bool {
    matches!(
        kind,
        NodeEnum::CreateStmt(_)
            | NodeEnum::CreateEnumStmt(_)
            | NodeEnum::CreateDomainStmt(_)
            | NodeEnum::CompositeTypeStmt(_)
            | NodeEnum::CreateRangeStmt(_)
            | NodeEnum::CreateSeqStmt(_)
    )
}

/// What a seed may have too: rows, and what has no effect anyway.
fn in_any_file(statement: &pb::Node, kind: &NodeEnum, data: Option<&str>, schema: &Schema) -> Option<Verdict<Rewrite>> {
    Some(match kind {
        NodeEnum::SelectStmt(select) => match setting::set_config(select) {
            Some(verdict) => verdict,
            None => dml::apply(statement, schema),
        },
        NodeEnum::InsertStmt(_) | NodeEnum::UpdateStmt(_) | NodeEnum::DeleteStmt(_) => dml::apply(statement, schema),
        NodeEnum::CallStmt(call) => dml::call(call, schema),
        NodeEnum::CopyStmt(copy) => copy_data::apply(copy, data, schema),
        NodeEnum::VariableSetStmt(set) => setting::set(set),
        NodeEnum::VariableShowStmt(_) => Ok(setting::show()),
        NodeEnum::TransactionStmt(transaction) => transaction::apply(transaction),
        NodeEnum::ConstraintsSetStmt(_) => Ok(setting::constraints()),
        NodeEnum::VacuumStmt(_) => Ok(Rewrite::dropped("the servers do this by themselves (autovacuum)")),
        NodeEnum::ReindexStmt(_) | NodeEnum::ClusterStmt(_) => {
            Ok(Rewrite::dropped("nothing is in the tables yet that could be put in order"))
        }
        NodeEnum::CheckPointStmt(_) => Ok(Rewrite::dropped("the servers do this by themselves")),
        NodeEnum::DiscardStmt(_) => Ok(Rewrite::dropped("síndico's sessions end by themselves")),
        NodeEnum::LockStmt(_) => Ok(Rewrite::dropped("nobody else has the tables yet")),
        NodeEnum::NotifyStmt(_) | NodeEnum::ListenStmt(_) | NodeEnum::UnlistenStmt(_) => {
            Ok(Rewrite::dropped("nobody listens yet"))
        }
        _ => return None,
    })
}

fn in_migrations(read: Read<'_>, kind: &NodeEnum, schema: &mut Schema) -> Verdict<Rewrite> {
    let Read { text, global, .. } = read;
    let scope = if global { Scope::Global } else { Scope::Tenant };
    match kind {
        NodeEnum::CreateStmt(table) => create_table::apply(table, global, schema),
        NodeEnum::AlterTableStmt(alter) => match privilege::without_owner(alter)? {
            None => Ok(privilege::left_out(alter)),
            Some(alter) if alter.objtype() == pb::ObjectType::ObjectType => composite::alter(&alter, schema),
            Some(alter) if is_view(alter.relation.as_ref(), alter.objtype(), schema) => view::alter(&alter, schema),
            Some(alter) => match trigger::switch(&alter, schema) {
                Some(verdict) => verdict,
                None => alter_table::apply(&alter, schema),
            },
        },
        NodeEnum::CreateSeqStmt(created) => sequence::apply_create(created, global, schema),
        NodeEnum::AlterSeqStmt(altered) => sequence::apply_alter(altered, schema),
        NodeEnum::IndexStmt(index) => create_index::apply(index, schema),
        NodeEnum::CommentStmt(comment) => comment::apply(comment, schema),
        NodeEnum::RenameStmt(rename) => match rename.rename_type() {
            pb::ObjectType::ObjectType | pb::ObjectType::ObjectDomain => composite::rename(rename, schema),
            pb::ObjectType::ObjectAttribute => composite::rename_attribute(rename, schema),
            pb::ObjectType::ObjectDomconstraint => composite::rename_constraint(rename, schema),
            pb::ObjectType::ObjectTrigger => trigger::rename(rename, schema),
            pb::ObjectType::ObjectFunction | pb::ObjectType::ObjectProcedure | pb::ObjectType::ObjectRoutine => {
                function::rename(rename, schema)
            }
            kind => {
                let kind = if kind == pb::ObjectType::ObjectColumn { rename.relation_type() } else { kind };
                if is_view(rename.relation.as_ref(), kind, schema) {
                    view::rename(rename, schema)
                } else {
                    rename::apply(rename, schema)
                }
            }
        },
        NodeEnum::DropStmt(statement) => {
            drop_object::apply(statement, schema).unwrap_or_else(|| drop::apply(statement, schema))
        }
        NodeEnum::CreateEnumStmt(created) => enum_type::create(created, scope, schema),
        NodeEnum::AlterEnumStmt(altered) => enum_type::alter(altered, schema),
        NodeEnum::CreateDomainStmt(created) => domain::create(created, scope, schema),
        NodeEnum::AlterDomainStmt(altered) => domain::alter(altered, schema),
        NodeEnum::CompositeTypeStmt(created) => composite::create(created, scope, schema),
        NodeEnum::CreateRangeStmt(created) => composite::create_range(created, scope, schema),
        NodeEnum::DoStmt(block) => do_block::apply(block, schema),
        NodeEnum::ViewStmt(_) => view::create(text, schema),
        NodeEnum::CreateFunctionStmt(_) => function::create(text, schema),
        NodeEnum::AlterFunctionStmt(altered) => function::alter(altered, schema),
        NodeEnum::AlterObjectDependsStmt(_) => Ok(Rewrite::dropped("extensions are never dropped")),
        NodeEnum::CreateTrigStmt(_) => trigger::create(text, schema),
        NodeEnum::CreateStatsStmt(created) => statistics::create(created, schema),
        NodeEnum::CreateExtensionStmt(created) => extension::create(created, schema),
        NodeEnum::AlterExtensionStmt(_) | NodeEnum::AlterExtensionContentsStmt(_) => Err(extension::alter()),
        NodeEnum::GrantStmt(_) | NodeEnum::AlterDefaultPrivilegesStmt(_) => Ok(privilege::grant()),
        NodeEnum::AlterOwnerStmt(_) => Ok(privilege::owner()),
        NodeEnum::SecLabelStmt(_) => Ok(privilege::label()),
        NodeEnum::CreatePolicyStmt(_) | NodeEnum::AlterPolicyStmt(_) => Err(privilege::row_security()),
        NodeEnum::CreateRoleStmt(_)
        | NodeEnum::AlterRoleStmt(_)
        | NodeEnum::DropRoleStmt(_)
        | NodeEnum::GrantRoleStmt(_) => Ok(privilege::role()),
        NodeEnum::AlterRoleSetStmt(_) => Err(privilege::role_setting()),
        NodeEnum::RefreshMatViewStmt(refreshed) => Err(match refreshed.relation.as_ref() {
            Some(view) if schema.is_broken(&view.relname) => Fault::echo(),
            _ => refused::statement(kind),
        }),
        NodeEnum::CreateSchemaStmt(created) if created.schemaname == "public" && created.schema_elts.is_empty() => {
            Ok(Rewrite::dropped("the tenant's schema is there already"))
        }
        other => Err(refused::statement(other)),
    }
}

/// Whether a statement is about a view: PostgreSQL takes ALTER TABLE for one too.
fn is_view(relation: Option<&pb::RangeVar>, kind: pb::ObjectType, schema: &Schema) -> bool {
    kind == pb::ObjectType::ObjectView
        || relation.is_some_and(|relation| schema.objects.find_view(&relation.relname).is_some())
}

/// The name of something that is no table, without `public.`; another schema is refused.
fn own_name(names: &mut Vec<pb::Node>) -> Verdict<String> {
    crate::expr::unqualify(names, "the name")?;
    match names.as_slice() {
        [name] => Ok(tree::string(name).unwrap_or_default().to_owned()),
        _ => Err(Fault::unsupported(
            format!("the name {}", tree::strings(names).join(".")),
            "leave the schema out: síndico puts everything where its isolation wants it",
        )),
    }
}

/// Puts what is global into its schema; a tenant's own goes where `search_path` begins.
fn place_name(names: &mut Vec<pb::Node>, scope: Scope) {
    if scope == Scope::Global {
        names.insert(0, tree::name("global"));
    }
}

/// The shared form of a routine with all that was created after it.
pub(crate) fn adapted_routine(text: &str, schema: &Schema) -> Verdict<String> {
    function::shared(text, schema)
}

/// The name and arguments of the routine that a statement creates.
pub(crate) fn signature(text: &str) -> Option<String> {
    function::created(text)
}

/// Whether a routine has to be adapted to the tables as the last migration leaves them, since it runs with those.
pub(crate) fn has_late_stars(text: &str) -> bool {
    function::has_late_stars(text)
}

/// The name that a statement takes from a table or view.
pub(crate) fn renames(statement: &pb::Node) -> Option<String> {
    let of_rows = |kind| matches!(kind, pb::ObjectType::ObjectTable | pb::ObjectType::ObjectView);
    match &statement.node {
        Some(NodeEnum::RenameStmt(rename)) if of_rows(rename.rename_type()) => {
            rename.relation.as_ref().map(|relation| relation.relname.clone())
        }
        _ => None,
    }
}

/// Tables and types that a refused statement would have made, so that what follows is not blamed for their absence.
pub(crate) fn creates(statement: &pb::Node) -> Option<String> {
    let last = |names: &[pb::Node]| names.last().and_then(tree::string).map(str::to_owned);
    match &statement.node {
        Some(NodeEnum::CreateTableAsStmt(created)) => Some(created.into.as_ref()?.rel.as_ref()?.relname.clone()),
        Some(NodeEnum::ViewStmt(created)) => created.view.as_ref().map(|name| name.relname.clone()),
        Some(NodeEnum::CreateFunctionStmt(created)) => last(&created.funcname),
        Some(NodeEnum::CreateTrigStmt(created)) => Some(created.trigname.clone()),
        Some(NodeEnum::CreateEnumStmt(created)) => last(&created.type_name),
        Some(NodeEnum::CreateRangeStmt(created)) => last(&created.type_name),
        Some(NodeEnum::CreateDomainStmt(created)) => last(&created.domainname),
        Some(NodeEnum::CompositeTypeStmt(created)) => created.typevar.as_ref().map(|name| name.relname.clone()),
        _ => create_table::named(statement),
    }
}

/// Takes `public.` off a table's name, which is in another schema for tenants that have their own; any other schema is
/// refused.
fn unqualify(relation: &mut pb::RangeVar) -> Verdict<()> {
    if !relation.catalogname.is_empty() || !matches!(relation.schemaname.as_str(), "" | "public") {
        return Err(Fault::new(
            format!("{}.{} is in a schema of its own", relation.schemaname, relation.relname),
            "leave the schema out: síndico puts each table where its isolation wants it",
        ));
    }
    relation.schemaname.clear();
    Ok(())
}

/// The table that a DDL statement is about, without `public.`.
fn target(relation: Option<&mut pb::RangeVar>) -> Verdict<&mut pb::RangeVar> {
    let relation = relation.ok_or_else(refused::nothing)?;
    unqualify(relation)?;
    if !relation.inh {
        return Err(Fault::unsupported("ONLY", "leave it out: no table has children"));
    }
    Ok(relation)
}

/// The statement that puts a routine in the place of the one that is there.
pub(crate) fn replacing(text: &str) -> Option<String> {
    function::replacing(text).ok()
}

/// Whether a statement of an upgrade takes something away that others may refer to: a table, rows, with CASCADE anything.
pub(crate) fn takes_away(text: &str) -> bool {
    let cascades = |node: &pb::Node| {
        let cascade = pb::DropBehavior::DropCascade;
        matches!(&node.node, Some(NodeEnum::AlterTableCmd(command)) if command.behavior() == cascade)
    };
    tree::parse(text).is_ok_and(|tree| match &tree.node {
        Some(NodeEnum::DropStmt(_) | NodeEnum::DeleteStmt(_) | NodeEnum::TruncateStmt(_) | NodeEnum::MergeStmt(_)) => {
            true
        }
        Some(NodeEnum::AlterTableStmt(alter)) => alter.cmds.iter().any(cascades),
        // In a WITH of another statement.
        _ => text.to_ascii_uppercase().contains("DELETE FROM"),
    })
}
