//! CREATE STATISTICS.

use pg_query::{NodeEnum, protobuf as pb};

use super::place::TablePlace;
use super::{Rewrite, own_name, unqualify};
use crate::expr;
use crate::refusal::{Fault, Verdict};
use crate::schema::Schema;

/// They are about columns of one table, which are the app's in every isolation.
pub(super) fn create(statement: &pb::CreateStatsStmt, schema: &mut Schema) -> Verdict<Rewrite> {
    let mut created = statement.clone();
    if created.defnames.is_empty() {
        return Err(Fault::unsupported("statistics without a name", "give them one"));
    }
    let name = own_name(&mut created.defnames)?;
    if schema.objects.statistics.contains(&name) {
        return if created.if_not_exists {
            Ok(Rewrite::dropped(format!("there are statistics {name} already")))
        } else {
            Err(Fault::new(format!("there are statistics {name} already"), "choose another name"))
        };
    }
    let [relation] = created.relations.as_mut_slice() else {
        return Err(Fault::unsupported("statistics of this", "name one table"));
    };
    let Some(NodeEnum::RangeVar(relation)) = &mut relation.node else { return Err(super::refused::nothing()) };
    unqualify(relation)?;
    let table = schema.table(&relation.relname)?;
    let scope = table.scope;
    let columns: Vec<String> = table.column_names().map(str::to_owned).collect();
    let mut place = TablePlace::new(schema, &table.name, &columns);
    for element in &mut created.exprs {
        if let Some(NodeEnum::StatsElem(element)) = &mut element.node {
            if !element.name.is_empty() {
                schema.table(&relation.relname)?.column(&element.name)?;
            }
            expr::walk_opt(&mut element.expr, &mut place)?;
        }
    }
    schema.objects.statistics.push(name);
    super::place_name(&mut created.defnames, scope);
    Ok(Rewrite::alike(scope, NodeEnum::CreateStatsStmt(created)))
}
