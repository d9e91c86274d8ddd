//! One app built for tenants that share tables, for one with a schema and for one with a database.

use domain::{Access, AppName, Role, SharedNames, TenantId, quote_ident};
use tenantize::{Plan, Sources, SqlFile, Statement};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};
use uuid::Uuid;

/// An app in every isolation, with a tenant in each and a stranger among those that share.
pub(crate) struct Worlds {
    pub(crate) plan: Plan,
    admin: Client,
    databases: Vec<String>,
    roles: Vec<String>,
    /// The tenant's connections: shared tables, a schema, a database.
    tenants: Vec<(&'static str, Client)>,
    stranger: Client,
    /// Ends the cluster when it was started for this test.
    _scratch: Option<devdb::Scratch>,
}

/// Stands in for what provisioning prepares.
const SETUP: &str = "
    CREATE SCHEMA global; CREATE SCHEMA extensions; CREATE SCHEMA sindico; CREATE SCHEMA sindico_copy;
    GRANT USAGE ON SCHEMA global, extensions, sindico, sindico_copy TO PUBLIC;
    CREATE FUNCTION sindico.current_tenant() RETURNS uuid LANGUAGE sql STABLE
        RETURN CASE WHEN session_user ~ '^[rt]_[0-9a-f]{32}$' THEN substr(session_user, 3)::uuid END;
    CREATE FUNCTION sindico.next_value(sequence text) RETURNS bigint LANGUAGE sql VOLATILE SECURITY DEFINER
        RETURN nextval(format('%I.%I', 's_' || substr(session_user, 3), sequence));
    REVOKE EXECUTE ON FUNCTION sindico.next_value FROM PUBLIC;
    CREATE FUNCTION sindico.notify(channel text, payload text) RETURNS void LANGUAGE sql
        RETURN pg_notify(channel, payload);
    CREATE FUNCTION sindico.loading(part integer) RETURNS boolean LANGUAGE sql STABLE
        RETURN nullif(current_setting('sindico.loading', true), '')::integer < part IS TRUE;";

impl Worlds {
    /// Builds an app of one migration and one seed; an empty seed is no file.
    pub(crate) async fn build(migration: &str, seed: &str) -> Self {
        let file = |name: &str, text: &str| SqlFile { name: name.to_owned(), text: text.to_owned() };
        let seed = if seed.is_empty() { vec![] } else { vec![file("seed/1.sql", seed)] };
        let sources = Sources { migrations: vec![file("migrations/1.sql", migration)], seed };
        let plan = tenantize::plan(&sources).unwrap_or_else(|refusals| panic!("{refusals}"));
        let (dsn, scratch) = if let Ok(dsn) = std::env::var("SINDICO_TEST_DSN_1") {
            (dsn, None)
        } else {
            let scratch = devdb::Scratch::start().await.expect("a cluster");
            (scratch.dsn("postgres"), Some(scratch))
        };
        let config: Config = dsn.parse().expect("a DSN");
        let admin = connect(&config).await;
        let app: AppName = format!("t{}", &Uuid::now_v7().simple().to_string()[12..32]).parse().expect("a name");
        let names = app.names();
        let mut roles = Vec::new();
        for name in names.roles() {
            role(&admin, name, "NOLOGIN", &mut roles).await;
        }
        // Logins of shared tables are in the group that policies name by way of the other one that they are in.
        let [login, rw, ro] = [&names.shared_login, &names.shared_rw, &names.shared_ro].map(|role| quote_ident(role));
        admin.batch_execute(&format!("GRANT {login} TO {rw}, {ro}")).await.expect("memberships");
        let mut builder = Builder { admin: &admin, config, names, plan: &plan, roles, databases: Vec::new() };
        let shared = builder.database("shared").await;
        // Only logins of tenants draw numbers, as in a database that síndico prepares.
        let grant = format!("GRANT EXECUTE ON FUNCTION sindico.next_value TO {rw}, {ro}");
        shared
            .batch_execute(&format!("RESET ROLE; {grant}; SET ROLE {}", quote_ident(&builder.names.owner)))
            .await
            .expect("a grant");
        run(&shared, &plan.shared_ddl(&builder.names)).await;
        let own = builder.database("own").await;
        run(&own, &plan.own_database_ddl(&builder.names)).await;
        for owner in [&shared, &own] {
            run(owner, &plan.global_seed()).await;
        }
        let in_shared = builder.sharing(&shared).await;
        let stranger = builder.sharing(&shared).await;
        let in_schema = builder.with_schema(&shared).await;
        let in_database = builder.with_database().await;
        let (roles, databases) = (builder.roles, builder.databases);
        let tenants = vec![("shared", in_shared), ("schema", in_schema), ("database", in_database)];
        Self { plan, admin, databases, roles, tenants, stranger, _scratch: scratch }
    }

    /// Runs a statement as the tenant in every isolation, in each with the same result, which is given: a line per row,
    /// values between bars, or the error.
    #[track_caller]
    pub(crate) fn answer(&self, sql: &str) -> impl Future<Output = String> {
        let at = std::panic::Location::caller();
        async move {
            let mut first: Option<String> = None;
            for (world, client) in &self.tenants {
                let answer = ask(client, sql).await;
                let first = first.get_or_insert_with(|| answer.clone());
                assert_eq!(*first, answer, "{at}: {sql}: shared tables against {world}");
            }
            first.expect("an answer")
        }
    }

    /// Runs a statement as another tenant that shares tables.
    pub(crate) async fn stranger(&self, sql: &str) -> String {
        ask(&self.stranger, sql).await
    }

    pub(crate) async fn clear(self) {
        drop((self.tenants, self.stranger));
        for database in self.databases {
            let sql = format!("DROP DATABASE {} WITH (FORCE)", quote_ident(&database));
            self.admin.batch_execute(&sql).await.expect("dropped");
        }
        for role in self.roles.iter().rev() {
            self.admin.batch_execute(&format!("DROP ROLE {}", quote_ident(role))).await.expect("dropped");
        }
    }
}

struct Builder<'a> {
    admin: &'a Client,
    config: Config,
    names: SharedNames,
    plan: &'a Plan,
    databases: Vec<String>,
    roles: Vec<String>,
}

impl Builder<'_> {
    async fn database(&mut self, kind: &str) -> Client {
        let name = format!("{}_{kind}", self.names.database);
        self.admin.batch_execute(&format!("CREATE DATABASE {}", quote_ident(&name))).await.expect("a database");
        let client = connect(self.config.clone().dbname(&name)).await;
        self.databases.push(name);
        client.batch_execute(SETUP).await.expect("the schemas");
        for extension in self.plan.extensions() {
            let sql = format!("CREATE EXTENSION {} SCHEMA extensions", quote_ident(extension));
            client.batch_execute(&sql).await.expect("an extension");
        }
        let owner = quote_ident(&self.names.owner);
        let setup = format!(
            "ALTER SCHEMA public OWNER TO {owner}; ALTER SCHEMA global OWNER TO {owner};
             ALTER SCHEMA sindico_copy OWNER TO {owner}; SET ROLE {owner};
             SET search_path = public, global, extensions"
        );
        client.batch_execute(&setup).await.expect("the owner");
        client
    }

    async fn tenant(&mut self, read_write: &str, read_only: &str) -> TenantId {
        let tenant = TenantId::from_uuid(Uuid::now_v7());
        for (access, group) in [(Access::ReadWrite, read_write), (Access::ReadOnly, read_only)] {
            let options = format!("LOGIN PASSWORD 'secret' IN ROLE {}", quote_ident(group));
            role(self.admin, &Role::new(tenant, access).to_string(), &options, &mut self.roles).await;
        }
        tenant
    }

    async fn login(&self, database: &str, tenant: TenantId, path: &str) -> Client {
        let database = format!("{}_{database}", self.names.database);
        let role = Role::new(tenant, Access::ReadWrite).to_string();
        let client = connect(self.config.clone().dbname(database).user(role).password("secret")).await;
        client.batch_execute(&format!("SET search_path = {path}")).await.expect("search_path");
        client
    }

    async fn sharing(&mut self, owner: &Client) -> Client {
        let (rw, ro) = (self.names.shared_rw.clone(), self.names.shared_ro.clone());
        let tenant = self.tenant(&rw, &ro).await;
        let sequences = quote_ident(&format!("s_{}", tenant.hex()));
        let role = quote_ident(&Role::new(tenant, Access::ReadWrite).to_string());
        let owner_name = quote_ident(&self.names.owner);
        let setup = format!(
            "RESET ROLE; CREATE SCHEMA {sequences} AUTHORIZATION {owner_name};
             GRANT USAGE ON SCHEMA {sequences} TO {role}; SET ROLE {owner_name}; SET search_path = {sequences}"
        );
        owner.batch_execute(&setup).await.expect("a schema of sequences");
        run(owner, &self.plan.shared_tenant_ddl(tenant)).await;
        let path = format!("public, {sequences}, global, extensions");
        let client = self.login("shared", tenant, &path).await;
        run(&client, &self.plan.shared_tenant_seed()).await;
        client
    }

    async fn with_schema(&mut self, owner: &Client) -> Client {
        let group = self.names.schema_group.clone();
        let tenant = self.tenant(&group, &group).await;
        let (schema, names) = (quote_ident(&format!("t_{}", tenant.hex())), self.names.clone());
        let [rw, ro] = Role::both(tenant).map(|role| quote_ident(&role.to_string()));
        let owner_name = quote_ident(&names.owner);
        let setup = format!(
            "RESET ROLE; CREATE SCHEMA {schema} AUTHORIZATION {owner_name};
             GRANT USAGE ON SCHEMA {schema} TO {rw}, {ro}; SET ROLE {owner_name};
             SET search_path = {schema}, global, extensions"
        );
        owner.batch_execute(&setup).await.expect("a schema");
        run(owner, &self.plan.own_schema_ddl(tenant)).await;
        let client = self.login("shared", tenant, &format!("{schema}, global, extensions")).await;
        run(&client, &self.plan.own_tenant_seed()).await;
        client
    }

    async fn with_database(&mut self) -> Client {
        let (rw, ro) = (self.names.own_rw.clone(), self.names.own_ro.clone());
        let tenant = self.tenant(&rw, &ro).await;
        let client = self.login("own", tenant, "public, global, extensions").await;
        run(&client, &self.plan.own_tenant_seed()).await;
        client
    }
}

async fn role(admin: &Client, name: &str, options: &str, roles: &mut Vec<String>) {
    admin.batch_execute(&format!("CREATE ROLE {} {options}", quote_ident(name))).await.expect("a role");
    roles.push(name.to_owned());
}

async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

async fn run(client: &Client, statements: &[Statement]) {
    for Statement { file, line, sql } in statements {
        client.batch_execute(sql).await.unwrap_or_else(|error| {
            let detail = error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string);
            panic!("{file}:{line}: {detail}\n{sql}")
        });
    }
}

async fn ask(client: &Client, sql: &str) -> String {
    match client.simple_query(sql).await {
        Ok(messages) => {
            let rows = messages.iter().filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => {
                    Some((0..row.len()).map(|at| row.get(at).unwrap_or("NULL")).collect::<Vec<_>>().join("|"))
                }
                _ => None,
            });
            rows.collect::<Vec<_>>().join("\n")
        }
        Err(error) => match error.as_db_error() {
            Some(error) => format!("{} {}", error.code().code(), error.message()),
            None => error.to_string(),
        },
    }
}
