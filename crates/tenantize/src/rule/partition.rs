//! Declarative partitioning.
//!
//! Each partition is under row-level security by itself, since it can be named in a query. Indexes and constraints of a
//! partitioned table appear on its partitions, where PostgreSQL names the indexes by their columns; `tenant_id`, which
//! those have in front where tables are shared, is taken out of the names again.

use domain::quote_ident;
use pg_query::{NodeEnum, protobuf as pb};

use super::alter_table::Change;
use super::place::TablePlace;
use super::{Sql, refused, unqualify};
use crate::expr::{self, walk_all, walk_opt};
use crate::name::{addition, index_columns};
use crate::refusal::{Fault, Verdict};
use crate::schema::{Index, Key, Schema};
use crate::tree::TENANT_ID;

/// Columns that a partition key mentions; fails for what is not there.
pub(super) fn check_spec(spec: &mut pb::PartitionSpec, place: &mut TablePlace<'_>) -> Verdict<Vec<String>> {
    use crate::expr::Place as _;
    // What the elements before it mention is not the key's.
    place.take_mentions();
    for node in &mut spec.part_params {
        let Some(NodeEnum::PartitionElem(element)) = &mut node.node else { return Err(refused::nothing()) };
        expr::unqualify(&mut element.opclass, "the operator class")?;
        expr::must_be_unqualified(&element.collation, "the collation")?;
        if !element.name.is_empty() {
            place.column(None, &element.name)?;
        }
        walk_opt(&mut element.expr, place)?;
    }
    Ok(place.take_mentions())
}

/// Fails where rows would go to a partition by the value of an identity column: PostgreSQL chooses the partition before
/// any trigger has put the tenant's number in the place of the one that stands for it.
pub(super) fn no_identity_divides(table: &str, schema: &Schema) -> Verdict<()> {
    let mut whole = schema.table(table)?;
    while let Some(parent) = &whole.parent {
        whole = schema.table(parent)?;
    }
    if whole.scope == crate::plan::Scope::Global {
        return Ok(());
    }
    for name in schema.family(&whole.name) {
        let divided = schema.table(&name)?;
        if let Some(column) = whole.columns.iter().find(|c| c.identity && divided.divided_by.contains(&c.name)) {
            return Err(Fault::unsupported(
                format!("the identity column {} in the partition key of table {name}", column.name),
                "use bigserial, whose number is there when PostgreSQL chooses the partition",
            ));
        }
    }
    Ok(())
}

/// Bounds hold values, and the words MINVALUE and MAXVALUE, which PostgreSQL's grammar reads as columns.
pub(super) fn check_bound(bound: &mut pb::PartitionBoundSpec, place: &mut TablePlace<'_>) -> Verdict<()> {
    let is_word = |node: &pb::Node| match &node.node {
        Some(NodeEnum::ColumnRef(column)) => {
            matches!(crate::tree::strings(&column.fields).as_slice(), [word] if word == "minvalue" || word == "maxvalue")
        }
        _ => false,
    };
    for list in [&mut bound.listdatums, &mut bound.lowerdatums, &mut bound.upperdatums] {
        for node in list.iter_mut().filter(|node| !is_word(node)) {
            walk_all(std::slice::from_mut(node), place)?;
        }
    }
    Ok(())
}

/// The partitioned table that a statement names.
pub(super) fn parent(relation: &mut pb::RangeVar, schema: &Schema) -> Verdict<String> {
    unqualify(relation)?;
    let parent = schema.table(&relation.relname)?;
    if !parent.partitioned {
        return Err(Fault::new(
            format!("table {} is not partitioned", parent.name),
            "add PARTITION BY to its CREATE TABLE",
        ));
    }
    Ok(parent.name.clone())
}

/// ALTER TABLE … ATTACH PARTITION.
pub(super) fn attach(change: &mut Change<'_>, mut command: pb::AlterTableCmd) -> Verdict<()> {
    let Some(NodeEnum::PartitionCmd(attach)) = command.def.as_deref_mut().and_then(|def| def.node.as_mut()) else {
        return Err(refused::nothing());
    };
    let Some(relation) = attach.name.as_mut() else { return Err(refused::nothing()) };
    unqualify(relation)?;
    let part = relation.relname.clone();
    let columns: Vec<String> = change.model()?.column_names().map(str::to_owned).collect();
    if let Some(bound) = attach.bound.as_mut() {
        check_bound(bound, &mut TablePlace::new(change.schema, change.table, &columns))?;
    }
    let (parent, child) = (change.model()?, change.schema.table(&part)?);
    if !parent.partitioned {
        return Err(Fault::new(format!("table {} is not partitioned", parent.name), "add PARTITION BY to it"));
    }
    if child.scope != parent.scope {
        return Err(Fault::new(
            format!("of {} and {part} one is global and the other is not", parent.name),
            "mark both with '-- sindico: global', or none",
        ));
    }
    if child.parent.is_some() {
        return Err(Fault::new(format!("table {part} is a partition already"), "detach it first"));
    }
    if let Some(column) = child.columns.iter().find(|column| column.identity) {
        return Err(Fault::new(
            format!("column {} of {part}, which is to be a partition, is an identity column", column.name),
            format!("write ALTER TABLE {part} ALTER COLUMN {} DROP IDENTITY first", column.name),
        ));
    }
    let parents: Vec<String> = parent.foreign_keys.iter().map(|key| key.parent.clone()).collect();
    change.compares(&part);
    for parent in parents {
        change.compares(&parent);
    }
    let table = change.table.to_owned();
    change.schema.table_mut(&part)?.parent = Some(table.clone());
    no_identity_divides(&table, change.schema)?;
    constraints_follow(&table, change.schema)?;
    change.last.extend(indexes_follow(&part, change.schema)?);
    change.alike(command);
    Ok(())
}

/// ALTER TABLE … DETACH PARTITION. CONCURRENTLY cannot run in a transaction, and leaves the same behind.
pub(super) fn detach(change: &mut Change<'_>, mut command: pb::AlterTableCmd) -> Verdict<()> {
    let Some(NodeEnum::PartitionCmd(detach)) = command.def.as_deref_mut().and_then(|def| def.node.as_mut()) else {
        return Err(refused::nothing());
    };
    detach.concurrent = false;
    let Some(relation) = detach.name.as_mut() else { return Err(refused::nothing()) };
    unqualify(relation)?;
    let part = relation.relname.clone();
    let table = change.table.to_owned();
    let child = change.schema.table_mut(&part)?;
    if child.parent.as_ref() != Some(&table) {
        return Err(Fault::new(format!("table {part} is no partition of {table}"), "correct the name"));
    }
    child.parent = None;
    child.keys.iter_mut().for_each(|key| key.attached = None);
    child.indexes.iter_mut().for_each(|index| index.attached = None);
    change.alike(command);
    Ok(())
}

/// ALTER INDEX … ATTACH PARTITION; gives the part's name.
pub(super) fn attach_index(command: &pb::AlterTableCmd, whole: &str, schema: &mut Schema) -> Verdict<String> {
    let name = match command.def.as_deref().and_then(|def| def.node.as_ref()) {
        Some(NodeEnum::PartitionCmd(attach)) => attach.name.clone(),
        _ => None,
    };
    let Some(mut relation) = name else { return Err(refused::nothing()) };
    unqualify(&mut relation)?;
    for table in schema.tables_mut() {
        let key = table.keys.iter_mut().find(|key| key.name == relation.relname).map(|key| &mut key.attached);
        let index = table.indexes.iter_mut().find(|index| index.name == relation.relname);
        if let Some(attached) = key.or(index.map(|index| &mut index.attached)) {
            *attached = Some(whole.to_owned());
            return Ok(relation.relname);
        }
    }
    Err(Fault::new(format!("there is no index {} at this point", relation.relname), "correct the name"))
}

/// Gives partitions the checks and foreign keys of their table, which have the same names there.
pub(super) fn constraints_follow(table: &str, schema: &mut Schema) -> Verdict<()> {
    for name in schema.family(table).into_iter().skip(1) {
        let Some(parent) = schema.table(&name)?.parent.clone() else { continue };
        let (checks, keys) = {
            let parent = schema.table(&parent)?;
            (parent.checks.clone(), parent.foreign_keys.clone())
        };
        let model = schema.table_mut(&name)?;
        for check in checks {
            if !model.checks.iter().any(|known| known.name == check.name) {
                model.checks.push(check);
            }
        }
        for key in keys {
            let same = |known: &crate::schema::ForeignKey| known.columns == key.columns && known.parent == key.parent;
            if !model.foreign_keys.iter().any(same) {
                model.foreign_keys.push(key);
            }
        }
    }
    Ok(())
}

/// Notes what becomes of a new partition's indexes, and of its own partitions'.
pub(super) fn indexes_follow(part: &str, schema: &mut Schema) -> Verdict<Vec<Sql>> {
    let Some(parent) = schema.table(part)?.parent.clone() else { return Ok(Vec::new()) };
    let parent = schema.table(&parent)?;
    let names: Vec<String> = parent
        .keys
        .iter()
        .map(|key| &key.name)
        .chain(parent.indexes.iter().map(|index| &index.name))
        .cloned()
        .collect();
    if parent.tenant_index.is_some() && schema.table(part)?.tenant_index.is_none() {
        let name = schema.choose_tenant_index(part);
        schema.table_mut(part)?.tenant_index = Some(name);
    }
    let mut renames = Vec::new();
    for name in names {
        renames.extend(follow(part, &name, schema)?);
    }
    Ok(renames)
}

/// Notes what a new index or key of a table means for its partitions, and gives the parts the names that they have in a
/// plain database.
pub(super) fn index_follows(table: &str, index: &str, schema: &mut Schema) -> Verdict<Vec<Sql>> {
    let parts: Vec<String> = schema.partitions(table).map(|part| part.name.clone()).collect();
    let mut renames = Vec::new();
    for part in parts {
        renames.extend(follow(&part, index, schema)?);
    }
    Ok(renames)
}

fn follow(part: &str, whole: &str, schema: &mut Schema) -> Verdict<Vec<Sql>> {
    let model = schema.table(part)?;
    let Some(parent) = model.parent.clone() else { return Ok(Vec::new()) };
    let parent = schema.table(&parent)?;
    let (name, rename) = if let Some(key) = parent.keys.iter().find(|key| key.name == whole).cloned() {
        follow_key(part, &key, schema)?
    } else if let Some(index) = parent.indexes.iter().find(|index| index.name == whole).cloned() {
        follow_index(part, &index, schema)?
    } else {
        return Ok(Vec::new());
    };
    let mut renames: Vec<Sql> = rename.into_iter().collect();
    renames.extend(index_follows(part, &name, schema)?);
    Ok(renames)
}

type Followed = (String, Option<Sql>);

fn follow_key(part: &str, key: &Key, schema: &mut Schema) -> Verdict<Followed> {
    let model = schema.table_mut(part)?;
    let twin = model.keys.iter_mut().find(|known| {
        known.attached.as_ref().is_none_or(|whole| *whole == key.name)
            && known.columns == key.columns
            && known.including == key.including
            && known.primary == key.primary
    });
    if let Some(twin) = twin {
        twin.attached = Some(key.name.clone());
        return Ok((twin.name.clone(), None));
    }
    let columns: Vec<&str> = key.columns.iter().chain(&key.including).map(String::as_str).collect();
    let followed = if key.primary {
        (schema.choose_relation(schema.table(part)?.scope, part, None, "pkey", true)?, None)
    } else {
        chosen(part, &columns, true, "key", schema)?
    };
    let attached = Some(key.name.clone());
    schema.table_mut(part)?.keys.push(Key { name: followed.0.clone(), attached, ..key.clone() });
    Ok(followed)
}

fn follow_index(part: &str, index: &Index, schema: &mut Schema) -> Verdict<Followed> {
    let model = schema.table_mut(part)?;
    let twin = model
        .indexes
        .iter_mut()
        .find(|known| known.attached.as_ref().is_none_or(|whole| *whole == index.name) && known.shape == index.shape);
    if let Some(twin) = twin {
        twin.attached = Some(index.name.clone());
        return Ok((twin.name.clone(), None));
    }
    let elements = index.shape.index_params.iter().chain(&index.shape.index_including_params);
    let elements: Vec<pb::IndexElem> = elements
        .filter_map(|node| match &node.node {
            Some(NodeEnum::IndexElem(element)) => Some(element.as_ref().clone()),
            _ => None,
        })
        .collect();
    let columns = index_columns(&elements);
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let followed = chosen(part, &columns, index.leads, "idx", schema)?;
    let attached = Some(index.name.clone());
    schema.table_mut(part)?.indexes.push(Index { name: followed.0.clone(), attached, ..index.clone() });
    Ok(followed)
}

/// The name that PostgreSQL chooses in a plain database, and the renaming to it of the one that it chooses here.
fn chosen(part: &str, columns: &[&str], leads: bool, label: &str, schema: &Schema) -> Verdict<Followed> {
    let scope = schema.table(part)?.scope;
    let constraint = label == "key";
    let plain = addition(columns.iter().copied());
    let name = schema.choose_relation(scope, part, Some(&plain), label, constraint)?;
    if scope == crate::plan::Scope::Global || !leads {
        return Ok((name, None));
    }
    let here = addition(std::iter::once(TENANT_ID).chain(columns.iter().copied()));
    let here = schema.choose_relation(scope, part, Some(&here), label, constraint)?;
    let rename = format!("ALTER INDEX {} RENAME TO {}", quote_ident(&here), quote_ident(&name));
    Ok((name, Some(Sql::Text(rename))))
}
