//! ALTER INDEX, but for renames.

use domain::quote_ident;
use pg_query::{NodeEnum, protobuf as pb};

use super::{Rewrite, Sql, partition, refused, storage};
use crate::refusal::{Fault, Verdict};
use crate::schema::Schema;

pub(super) fn apply(mut own: pb::AlterTableStmt, name: &str, schema: &mut Schema) -> Verdict<Rewrite> {
    use pb::AlterTableType as Kind;
    let table = schema.tables().iter().find(|table| table.index_names().any(|index| index == name));
    let table = table.ok_or_else(refused::nothing)?;
    let scope = table.scope;
    let leads = table.indexes.iter().find(|index| index.name == name).is_none_or(|index| index.leads);
    own.missing_ok = false;
    let mut rewrite = Rewrite::nothing(scope);
    let mut kept = Vec::new();
    for node in std::mem::take(&mut own.cmds) {
        let Some(NodeEnum::AlterTableCmd(command)) = &node.node else { return Err(refused::nothing()) };
        match command.subtype() {
            Kind::AtSetRelOptions | Kind::AtResetRelOptions => {
                if let Some(NodeEnum::List(options)) = command.def.as_ref().and_then(|def| def.node.as_ref()) {
                    storage::check_index(&options.items)?;
                }
            }
            // Columns of an index go by their numbers, and tenant_id is the first where tables are shared.
            Kind::AtSetStatistics if scope == crate::plan::Scope::Tenant && leads => {
                let mut shifted = own.clone();
                shifted.cmds = vec![pg_query::protobuf::Node {
                    node: Some(NodeEnum::AlterTableCmd(Box::new(pb::AlterTableCmd {
                        num: command.num + 1,
                        ..command.as_ref().clone()
                    }))),
                }];
                rewrite.shared.push(Sql::of(NodeEnum::AlterTableStmt(shifted)));
                let mut plain = own.clone();
                plain.cmds = vec![node];
                rewrite.own.push(Sql::of(NodeEnum::AlterTableStmt(plain)));
                continue;
            }
            Kind::AtSetStatistics => {}
            Kind::AtSetTableSpace => {
                storage::check_tablespace(&command.name)?;
                continue;
            }
            Kind::AtAttachPartition => {
                let part = partition::attach_index(command, name, schema)?;
                // The deparser knows this command for tables only.
                let sql = format!("ALTER INDEX {} ATTACH PARTITION {}", quote_ident(name), quote_ident(&part));
                rewrite.shared.push(Sql::Text(sql.clone()));
                rewrite.own.push(Sql::Text(sql));
                continue;
            }
            _ => {
                return Err(Fault::unsupported(
                    "this form of ALTER INDEX",
                    "use RENAME, SET, RESET or ATTACH PARTITION",
                ));
            }
        }
        kept.push(node);
    }
    if !kept.is_empty() {
        own.cmds = kept;
        rewrite.shared.push(Sql::of(NodeEnum::AlterTableStmt(own.clone())));
        rewrite.own.push(Sql::of(NodeEnum::AlterTableStmt(own)));
    }
    Ok(rewrite)
}
