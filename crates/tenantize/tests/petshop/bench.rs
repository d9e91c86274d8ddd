//! Databases, roles and tenants to run a plan with.

use domain::{Access, AppName, Role, SharedNames, TenantId, quote_ident, quote_literal};
use tenantize::{Plan, Sources, SqlFile, Statement};
use tokio_postgres::{Client, Config, NoTls};
use uuid::Uuid;

/// Databases and roles of one test on a cluster that may be in use by others; [`Bench::clear`] removes them.
pub(crate) struct Bench {
    admin: Client,
    config: Config,
    pub(crate) names: SharedNames,
    databases: Vec<String>,
    roles: Vec<String>,
    /// Ends the cluster when it was started for this test.
    _scratch: Option<devdb::Scratch>,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let (dsn, scratch) = if let Ok(dsn) = std::env::var("SINDICO_TEST_DSN_1") {
            (dsn, None)
        } else {
            let scratch = devdb::Scratch::start().await.expect("a cluster");
            (scratch.dsn("postgres"), Some(scratch))
        };
        let config: Config = dsn.parse().expect("a DSN");
        let admin = connect(&config).await;
        let app: AppName = format!("t{}", &Uuid::now_v7().simple().to_string()[12..32]).parse().expect("a name");
        let mut bench = Self { admin, config, names: app.names(), databases: vec![], roles: vec![], _scratch: scratch };
        for role in bench.names.clone().roles() {
            bench.role(role, "NOLOGIN").await;
        }
        bench.admin.batch_execute(&policies_groups(&bench.names)).await.expect("memberships");
        bench
    }

    pub(crate) async fn role(&mut self, name: &str, options: &str) {
        self.admin.batch_execute(&format!("CREATE ROLE {} {options}", quote_ident(name))).await.expect("a role");
        self.roles.push(name.to_owned());
    }

    /// Both login roles of a new tenant, in these groups.
    pub(crate) async fn tenant(&mut self, read_write: &str, read_only: &str) -> TenantId {
        let tenant = TenantId::from_uuid(Uuid::now_v7());
        for (access, group) in [(Access::ReadWrite, read_write), (Access::ReadOnly, read_only)] {
            let options = format!("LOGIN PASSWORD {} IN ROLE {}", quote_literal("secret"), quote_ident(group));
            self.role(&Role::new(tenant, access).to_string(), &options).await;
        }
        tenant
    }

    /// A new database with the schemas that plans rely on; the connection acts as the owner of the app's tables, who is
    /// no superuser.
    pub(crate) async fn database(&mut self, kind: &str) -> Client {
        let name = format!("{}_{kind}", self.names.database);
        self.admin.batch_execute(&format!("CREATE DATABASE {}", quote_ident(&name))).await.expect("a database");
        let client = connect(self.config.clone().dbname(&name)).await;
        self.databases.push(name);
        let owner = quote_ident(&self.names.owner);
        let setup = format!(
            "ALTER SCHEMA public OWNER TO {owner}; ALTER SCHEMA global OWNER TO {owner};
                 ALTER SCHEMA sindico_copy OWNER TO {owner}; SET ROLE {owner}"
        );
        client.batch_execute(&format!("{SETUP} {setup}")).await.expect("the schemas");
        client
    }

    pub(crate) async fn login(&self, database: &str, tenant: TenantId, access: Access) -> Client {
        let database = format!("{}_{database}", self.names.database);
        let role = Role::new(tenant, access).to_string();
        let client = connect(self.config.clone().dbname(database).user(role).password("secret")).await;
        let path = format!("SET search_path = public, {}, global, extensions", tenant.sequence_schema());
        client.batch_execute(&path).await.expect("search_path");
        client
    }

    /// What a tenant that shares tables has of its own; the connection is the owner's.
    pub(crate) async fn sequences(&self, shared: &Client, tenant: TenantId, plan: &Plan) {
        let (schema, owner) = (format!("s_{}", tenant.hex()), quote_ident(&self.names.owner));
        let roles = [Access::ReadWrite, Access::ReadOnly].map(|access| Role::new(tenant, access).to_string());
        let setup = format!(
            "RESET ROLE; CREATE SCHEMA {schema} AUTHORIZATION {owner}; \
             GRANT USAGE ON SCHEMA {schema} TO {}; SET ROLE {owner}; SET search_path = {schema}",
            roles.map(|role| quote_ident(&role)).join(", ")
        );
        shared.batch_execute(&setup).await.expect("the tenant's schema");
        run(shared, &plan.shared_tenant_ddl(tenant)).await;
        shared.batch_execute("SET search_path = public, global, extensions").await.expect("search_path");
    }

    pub(crate) async fn clear(self) {
        for database in self.databases {
            let sql = format!("DROP DATABASE {} WITH (FORCE)", quote_ident(&database));
            self.admin.batch_execute(&sql).await.expect("dropped");
        }
        for role in self.roles.iter().rev() {
            self.admin.batch_execute(&format!("DROP ROLE {}", quote_ident(role))).await.expect("dropped");
        }
    }
}

/// Puts logins of shared tables, by way of the group that they are in, into the one that policies name.
fn policies_groups(names: &SharedNames) -> String {
    let [login, rw, ro] = [&names.shared_login, &names.shared_rw, &names.shared_ro].map(|role| quote_ident(role));
    format!("GRANT {login} TO {rw}, {ro}")
}

/// Stands in for what provisioning prepares; the real function reads the role in the same way.
const SETUP: &str = "
    CREATE SCHEMA global;
    CREATE SCHEMA sindico;
    CREATE SCHEMA sindico_copy;
    CREATE SCHEMA extensions;
    CREATE EXTENSION btree_gist SCHEMA extensions;
    GRANT USAGE ON SCHEMA global, sindico, sindico_copy, extensions TO PUBLIC;
    CREATE FUNCTION sindico.current_tenant() RETURNS uuid LANGUAGE sql STABLE
        RETURN CASE WHEN session_user ~ '^[rt]_[0-9a-f]{32}$' THEN substr(session_user, 3)::uuid END;
    CREATE FUNCTION sindico.next_value(sequence text) RETURNS bigint LANGUAGE sql VOLATILE SECURITY DEFINER
        RETURN nextval(format('%I.%I', 's_' || replace(sindico.current_tenant()::text, '-', ''), sequence)::regclass);
    SET search_path = public, global, extensions;";

async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

pub(crate) async fn run(client: &Client, statements: &[Statement]) {
    for Statement { file, line, sql } in statements {
        client.batch_execute(sql).await.unwrap_or_else(|error| {
            let detail = error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string);
            panic!("{file}:{line}: {detail}\n{sql}")
        });
    }
}

pub(crate) async fn run_as_written(client: &Client, files: &[SqlFile]) {
    for file in files {
        // Statements that are sent together are one transaction, which CONCURRENTLY cannot be a part of.
        let text = file.text.replace(" CONCURRENTLY", "");
        client.batch_execute(&text).await.unwrap_or_else(|error| panic!("{}: {error:?}", file.name));
    }
}

pub(crate) fn plan_of(sources: &Sources) -> Plan {
    tenantize::plan(sources).unwrap_or_else(|refusals| panic!("{refusals}"))
}
