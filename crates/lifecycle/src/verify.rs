//! Reading back what was made, before anybody is told that it is there.

use domain::{Access, Isolation, Role, quote_ident};
use tenantize::Scope;

use crate::server::Session;
use crate::site::Site;
use crate::{Lifecycle, LifecycleError};

/// Privileges that both roles have to have, and those that one or both must not have: TRUNCATE asks no policy.
const PRIVILEGES: &str = "
    SELECT coalesce(bool_and(
        has_table_privilege(t, c, 'SELECT') AND has_table_privilege(t, c, 'INSERT')
        AND has_table_privilege(t, c, 'UPDATE') AND has_table_privilege(t, c, 'DELETE')
        AND NOT has_table_privilege(t, c, 'REFERENCES, TRIGGER')
        AND has_table_privilege(t, c, 'TRUNCATE') = $4
        AND has_table_privilege(r, c, 'SELECT')
        AND NOT has_table_privilege(r, c, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')), true)
    FROM (SELECT $1::text::name AS t, $2::text::name AS r) roles,
         unnest($3::text[]) AS tables (name), LATERAL (SELECT tables.name::regclass::oid) AS found (c)";

/// Row-level security of every shared table, and the policies that it has.
const ROW_SECURITY: &str = "
    SELECT coalesce(bool_and(relrowsecurity AND relforcerowsecurity
        AND (SELECT array_agg(polname::text) FROM pg_policy WHERE polrelid = c.oid)
            @> ARRAY['tenant', 'entered', 'views']), true) AND sindico.current_tenant() = $2
    FROM pg_class c WHERE c.oid = ANY ($1::text[]::regclass[])";

/// The tenant's own sequences: all that columns draw from are there, and nobody else has anything to say about them.
const SEQUENCES: &str = "
    SELECT count(*) FILTER (WHERE c.relname = ANY ($2::text[])) = cardinality($2::text[])
        AND coalesce(bool_and(has_sequence_privilege($3::text::name, c.oid, 'USAGE')
            AND has_sequence_privilege($3::text::name, c.oid, 'SELECT')
            AND has_sequence_privilege($3::text::name, c.oid, 'UPDATE')
            AND has_sequence_privilege($4::text::name, c.oid, 'SELECT')
            AND NOT has_sequence_privilege($4::text::name, c.oid, 'USAGE, UPDATE')
            AND NOT EXISTS (SELECT FROM aclexplode(c.relacl) a JOIN pg_roles g ON g.oid = a.grantee
                            WHERE g.oid <> c.relowner AND g.rolname NOT IN ($3::text::name, $4::text::name))), true)
    FROM pg_class c WHERE c.relkind = 'S' AND c.relnamespace = $1::text::regnamespace";

impl Lifecycle {
    /// Asks the tenant's own session who it is and what it may do.
    pub(crate) async fn verify(&self, session: &Session, site: &Site<'_>) -> Result<(), LifecycleError> {
        let Site { tenant, plan, placement, .. } = *site;
        let [t, r] = [Access::ReadWrite, Access::ReadOnly].map(|access| Role::new(tenant, access).to_string());
        let tables: Vec<String> = plan
            .tables()
            .iter()
            .filter(|table| table.scope == Scope::Tenant)
            .map(|table| format!("{}.{}", quote_ident(&placement.schema), quote_ident(&table.name)))
            .collect();
        let expect = |holds: bool, what: &str| {
            if holds { Ok(()) } else { Err(LifecycleError::Unverified(format!("{what} of tenant {tenant}"))) }
        };
        let who = session
            .ask("SELECT session_user = $1::text AND current_database() = $2::text", &[&t, &placement.database])
            .await?;
        expect(who, "login and database")?;
        let truncates = placement.isolation != Isolation::Shared;
        expect(session.ask(PRIVILEGES, &[&t, &r, &tables, &truncates]).await?, "table privileges")?;
        if placement.isolation == Isolation::Shared {
            let holds = session.ask(ROW_SECURITY, &[&tables, &tenant.as_uuid()]).await?;
            expect(holds, "row-level security")?;
            let drawn: Vec<&String> = plan
                .tables()
                .iter()
                .filter(|table| table.scope == Scope::Tenant)
                .flat_map(|table| &table.sequences)
                .collect();
            let schema = quote_ident(&tenant.sequence_schema());
            expect(session.ask(SEQUENCES, &[&schema, &drawn, &t, &r]).await?, "sequences")?;
        }
        Ok(())
    }
}
