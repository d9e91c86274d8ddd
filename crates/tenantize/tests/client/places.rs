//! An app with a plain database, which says what is right, and with tenants that share tables or have a schema.

use std::fmt::Write;

use domain::{Access, AppName, Isolation, Role, SharedNames, TenantId, quote_ident};
use tenantize::client::{Rules, Slots, Verdict};
use tenantize::{Plan, Statement};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};
use uuid::Uuid;

/// Stands in for what preparation brings to a database.
const SETUP: &str = "
    REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    CREATE SCHEMA global;
    CREATE SCHEMA sindico;
    CREATE SCHEMA sindico_copy;
    CREATE SCHEMA extensions;
    GRANT USAGE ON SCHEMA global, sindico, sindico_copy, extensions TO PUBLIC;
    CREATE FUNCTION sindico.current_tenant() RETURNS uuid LANGUAGE sql STABLE
        RETURN CASE WHEN session_user ~ '^[rt]_[0-9a-f]{32}$' THEN substr(session_user, 3)::uuid END;
    CREATE FUNCTION sindico.next_value(sequence text) RETURNS bigint LANGUAGE sql VOLATILE SECURITY DEFINER
        RETURN nextval(format('%I.%I', 's_' || replace(sindico.current_tenant()::text, '-', ''), sequence)::regclass);
    CREATE FUNCTION sindico.notify(channel text, payload text) RETURNS void LANGUAGE sql VOLATILE
        RETURN pg_notify('n_' || substr(session_user, 3, 21) || '_' || channel, payload);
    CREATE PROCEDURE sindico.truncate(tables text[], restart_identity boolean, cascade boolean) LANGUAGE plpgsql AS $$
        DECLARE name text;
        BEGIN
            FOREACH name IN ARRAY tables LOOP EXECUTE format('DELETE FROM %I', name); END LOOP;
            IF restart_identity THEN
                FOR name IN SELECT s.sequencename FROM pg_sequences s WHERE s.schemaname = 's_' || substr(session_user, 3)
                LOOP PERFORM setval(quote_ident(name), 1, false); END LOOP;
            END IF;
        END $$;
    SET search_path = public, global, extensions;";

/// The databases and roles of one test; [`Places::clear`] removes them.
pub(crate) struct Places {
    admin: Client,
    config: Config,
    names: SharedNames,
    roles: Vec<String>,
    databases: Vec<String>,
    plan: Plan,
    /// Ends the cluster when it was started for this test.
    _scratch: Option<devdb::Scratch>,
}

/// A client of one of them.
pub(crate) struct Session {
    pub(crate) client: Client,
    rules: Option<Rules>,
    schema: String,
    sequences: String,
    prefix: String,
}

impl Places {
    pub(crate) async fn new(plan: Plan) -> Self {
        let (dsn, scratch) = if let Ok(dsn) = std::env::var("SINDICO_TEST_DSN_1") {
            (dsn, None)
        } else {
            let scratch = devdb::Scratch::start().await.expect("a cluster");
            (scratch.dsn("postgres"), Some(scratch))
        };
        let config: Config = dsn.parse().expect("a DSN");
        let app: AppName = format!("t{}", &Uuid::now_v7().simple().to_string()[12..32]).parse().expect("a name");
        let mut places = Self {
            admin: connect(&config).await,
            config,
            names: app.names(),
            roles: vec![],
            databases: vec![],
            plan,
            _scratch: scratch,
        };
        for role in places.names.clone().roles() {
            places.role(role, "NOLOGIN").await;
        }
        // Logins of shared tables are in the group that policies name by way of the other one that they are in.
        let names = &places.names;
        let [login, rw, ro] = [&names.shared_login, &names.shared_rw, &names.shared_ro].map(|role| quote_ident(role));
        places.admin.batch_execute(&format!("GRANT {login} TO {rw}, {ro}")).await.expect("memberships");
        places
    }

    async fn role(&mut self, name: &str, options: &str) {
        self.admin.batch_execute(&format!("CREATE ROLE {} {options}", quote_ident(name))).await.expect("a role");
        self.roles.push(name.to_owned());
    }

    async fn database(&mut self, kind: &str) -> Client {
        let name = format!("{}_{kind}", self.names.database);
        self.admin.batch_execute(&format!("CREATE DATABASE {}", quote_ident(&name))).await.expect("a database");
        self.databases.push(name);
        let client = self.open(kind, None).await;
        client.batch_execute(SETUP).await.expect("the schemas");
        client
    }

    async fn open(&self, kind: &str, role: Option<&str>) -> Client {
        let mut config = self.config.clone();
        config.dbname(format!("{}_{kind}", self.names.database));
        if let Some(role) = role {
            config.user(role).password("secret");
        }
        connect(&config).await
    }

    /// The app as it would be without síndico.
    pub(crate) async fn plain(&mut self, ddl: &str) -> Session {
        let client = self.database("plain").await;
        client.batch_execute("SET search_path = public").await.expect("search_path");
        client.batch_execute(ddl).await.expect("the app's own SQL");
        Session { client, rules: None, schema: String::new(), sequences: String::new(), prefix: String::new() }
    }

    /// The database that tenants share, made as the owner of the app's tables.
    pub(crate) async fn shared(&mut self) -> Client {
        let client = self.database("shared").await;
        let owner = quote_ident(&self.names.owner);
        let setup =
            ["public", "global", "sindico_copy"].map(|schema| format!("ALTER SCHEMA {schema} OWNER TO {owner};"));
        let setup = format!("{} GRANT USAGE ON SCHEMA public TO PUBLIC; SET ROLE {owner}", setup.concat());
        client.batch_execute(&setup).await.expect("the owner");
        run(&client, &self.plan.shared_ddl(&self.names)).await;
        client
    }

    /// A new tenant of the shared database, with tables of its own or without.
    pub(crate) async fn tenant(&mut self, shared: &Client, isolation: Isolation) -> Session {
        let tenant = TenantId::from_uuid(Uuid::now_v7());
        let (rw, ro) = (self.names.shared_rw.clone(), self.names.shared_ro.clone());
        let (role, reader) = (Role::new(tenant, Access::ReadWrite), Role::new(tenant, Access::ReadOnly));
        for (role, group) in [(role, rw), (reader, ro)] {
            let group =
                if isolation == Isolation::Shared { format!("IN ROLE {}", quote_ident(&group)) } else { String::new() };
            self.role(&role.to_string(), &format!("LOGIN PASSWORD 'secret' {group}")).await;
        }
        let sequences = tenant.sequence_schema();
        let schema = if isolation == Isolation::Shared { sequences.clone() } else { format!("t_{}", tenant.hex()) };
        let owner = quote_ident(&self.names.owner);
        let setup = format!(
            "RESET ROLE; CREATE SCHEMA {schema} AUTHORIZATION {owner}; GRANT USAGE ON SCHEMA {schema} TO {role}, {reader};
             SET ROLE {owner}; SET search_path = {schema}, global, extensions"
        );
        shared.batch_execute(&setup).await.expect("the tenant's schema");
        let ddl = match isolation {
            Isolation::Shared => self.plan.shared_tenant_ddl(tenant),
            _ => self.plan.own_schema_ddl(tenant),
        };
        run(shared, &ddl).await;
        let client = self.open("shared", Some(&role.to_string())).await;
        let path = if isolation == Isolation::Shared { "public, " } else { "" };
        let path = format!("SET search_path = {path}{schema}, global, extensions");
        client.batch_execute(&path).await.expect("search_path");
        let prefix = format!("n_{}_", &tenant.hex()[..21]);
        Session { client, rules: Rules::new(&self.plan, isolation), schema, sequences, prefix }
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

impl Session {
    /// The text that the server gets for a client's.
    pub(crate) fn adapted(&self, sql: &str) -> String {
        let Some(rules) = self.rules.as_ref().filter(|rules| rules.concerns(sql.as_bytes())) else {
            return sql.to_owned();
        };
        match rules.rewrite(sql, true) {
            Verdict::Unchanged => sql.to_owned(),
            Verdict::Rewritten(template) => {
                let Self { schema, sequences, prefix, .. } = self;
                template.render(&Slots { schema, sequences, channel_prefix: prefix })
            }
            Verdict::Refused { message, .. } => panic!("{sql}: {message}"),
        }
    }

    /// What a client gets for a text: rows with their columns' names, and the SQLSTATE of an error.
    pub(crate) async fn ask(&self, sql: &str) -> String {
        let mut out = String::new();
        match self.client.simple_query(&self.adapted(sql)).await {
            Ok(messages) => messages.iter().for_each(|message| match message {
                SimpleQueryMessage::Row(row) => {
                    let columns = row.columns().iter().enumerate().filter(|(_, column)| column.name() != "tenant_id");
                    for (nth, column) in columns {
                        write!(out, "{}={} ", column.name(), row.get(nth).unwrap_or("∅")).expect("written");
                    }
                    out.push('\n');
                }
                SimpleQueryMessage::CommandComplete(rows) => writeln!(out, "{rows} rows").expect("written"),
                _ => {}
            }),
            Err(error) => {
                let known = error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error}"));
                writeln!(out, "{}: {:?}", known.code().code(), known.constraint()).expect("written");
            }
        }
        out
    }
}

async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

async fn run(client: &Client, statements: &[Statement]) {
    for Statement { file, line, sql } in statements {
        client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{file}:{line}: {error:?}\n{sql}"));
    }
}
