//! Row-level security of shared tables: to whom which rows are there.
//!
//! Every statement of a tenant pays for what a policy says, so each role has one of its own that asks nothing it could
//! know beforehand, and says it in built-in functions: a call of PL/pgSQL costs a point read a tenth of its time, and an SQL
//! function is read anew whenever a statement is planned. `(SELECT …)` is evaluated once per statement, and lets the
//! planner use the index that leads with `tenant_id`.

use domain::{SharedNames, quote_ident};

/// FORCE, because without it the tables' owner would see every tenant's rows through anything that runs as the owner.
pub(crate) fn switch_on(table: &str) -> String {
    format!("ALTER TABLE {} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY", quote_ident(table))
}

/// The policies of a table. Whoever none is for sees nothing.
pub(crate) fn of(table: &str, names: &SharedNames) -> Vec<String> {
    let table = quote_ident(table);
    let [login, dense, views] = [&names.shared_login, &names.dense, &names.views].map(|role| quote_ident(role));
    // The login's name is `t_` or `r_` and the tenant's id. Only a superuser can change `session_user`.
    let own = "tenant_id = (SELECT pg_catalog.substr(session_user::pg_catalog.text, 3)::pg_catalog.uuid)";
    // Such a name again, of whoever `sindico.enter` has accepted a token for; nobody's is empty, and equals no tenant.
    let entered = "tenant_id = (SELECT pg_catalog.substr(nullif(\
                   pg_catalog.current_setting('backtrace_functions'), ''), 3)::pg_catalog.uuid)";
    vec![
        format!("CREATE POLICY tenant ON {table} TO {login} USING ({own}) WITH CHECK ({own})"),
        format!("CREATE POLICY entered ON {table} TO {dense} USING ({entered}) WITH CHECK ({entered})"),
        // Nobody logs in as this role or is a member of it; its views name their tenant.
        format!("CREATE POLICY views ON {table} FOR SELECT TO {views} USING (true)"),
        format!("GRANT SELECT ON TABLE {table} TO {views}"),
    ]
}
