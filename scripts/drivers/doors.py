"""Where suites run: a plain login that owns a database, and a tenant behind síndico's gateway, on the same server.

Both have the same user name, password and database name, so that suites which write these down run in both places. Tenants
may not do DDL, which suites do all the time: whoever may on the tenant's side is only here given what owners of databases
have, by the operator's own means. What is compared is the gateway; what tenants may do is síndico's own tests' business.
"""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

HERE = Path(__file__).resolve().parent
NAME = "suites"
OTHER = "suites-other"
TOKEN = "t" * 32
CONTROL = "suites_control"
START_SECONDS = 30

# Schemas that suites expect, and what several of them take for granted.
FURNITURE = """
    CREATE EXTENSION IF NOT EXISTS hstore SCHEMA {schema}; CREATE EXTENSION IF NOT EXISTS citext SCHEMA {schema};
    CREATE EXTENSION IF NOT EXISTS bloom SCHEMA {schema};
    GRANT SET ON PARAMETER lc_messages TO "{role}";
    CREATE SCHEMA IF NOT EXISTS test_schema AUTHORIZATION "{role}";
    CREATE SCHEMA IF NOT EXISTS test_schema_2 AUTHORIZATION "{role}";"""


@dataclass(frozen=True)
class Door:
    """What a driver has to know."""

    name: str
    port: int
    user: str
    password: str
    database: str
    # A second database for suites that want two: another tenant of the same app.
    other: "Door | None" = None

    def environment(self):
        """That of libpq, which most drivers read."""
        return os.environ | {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGDATABASE": self.database,
        }

    def url(self, scheme="postgresql"):
        return f"{scheme}://{self.user}:{self.password}@127.0.0.1:{self.port}/{self.database}"


@dataclass(frozen=True)
class Way:
    """How a tenant is kept apart and pooled."""

    isolation: str
    mode: str

    def __str__(self):
        return f"{self.isolation}-{self.mode}"


# What is meaningful: a database of the tenant's own. Where tenants share one, what a suite makes is none of the app's tables, for
# which alone the gateway's rules for `public.` and the rest are; those are held against a plain database by síndico's own tests.
# In `schema` some suites are worth a look all the same.
USUAL = ("database-transaction", "database-session")
WAYS = {
    str(way): way
    for way in (
        Way("database", "transaction"),
        Way("database", "session"),
        Way("schema", "transaction"),
    )
}


class House:
    """A síndico on the server that `devdb run` has started, and the two doors of the way that it is open in."""

    def __init__(self, program, folder, server, connections):
        self.program, self.folder, self.server, self.connections = program, folder, server, connections
        self.process = None

    def inside(self, database):
        return urlsplit(self.server)._replace(path=f"/{database}").geturl()

    def psql(self, database, sql):
        command = ["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", self.inside(database), "-f", "-"]
        done = subprocess.run(command, input=sql, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{sql}: {done.stderr}")
        return done.stdout.split()

    def command(self, *words):
        environment = os.environ | {"SINDICO_API": f"http://127.0.0.1:{self.api}", "SINDICO_TOKEN": TOKEN}
        done = subprocess.run([self.program, *words], capture_output=True, text=True, env=environment)
        if done.returncode != 0:
            raise RuntimeError(f"sindico {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    @contextmanager
    def open(self, way):
        """Yields the plain door and the tenant's."""
        self.api, self.gateway = free_port(), free_port()
        self.psql("postgres", f"DROP DATABASE IF EXISTS {CONTROL} WITH (FORCE)")
        self.psql("postgres", f"CREATE DATABASE {CONTROL}")
        self.configure(way)
        with (self.folder / f"{way}.log").open("w") as log:
            process = subprocess.Popen(
                [self.program, "serve", "--config", self.folder / "sindico.toml"], stdout=log, stderr=log
            )
            try:
                wait_for(self.api, process, log.name)
                yield self.furnish(way)
            finally:
                process.terminate()
                process.wait()

    def configure(self, way):
        # A key of its own: databases are recognised by it, and each way makes the app's anew.
        (self.folder / "master.key").write_text(os.urandom(32).hex())
        (self.folder / "admin.token").write_text(TOKEN)
        (self.folder / "sindico.toml").write_text(f"""
            [control]
            dsn = "{self.inside(CONTROL)}"
            [secrets]
            master_key_file = "master.key"
            admin_token_file = "admin.token"
            [api]
            listen = "127.0.0.1:{self.api}"
            [gateway]
            listen = "127.0.0.1:{self.gateway}"
            pool_mode = "{way.mode}"
            [pool]
            connections_per_cluster = {self.connections}
            [log]
            format = "text"
            """)

    def furnish(self, way):
        self.remove_traces()
        self.command("cluster", "add", "main", self.server)
        self.command("app", "add", str(HERE / "app"))
        doors = self.doors(way, NAME)
        others = self.doors(way, OTHER)
        return tuple(replace(door, other=other) for door, other in zip(doors, others))

    def doors(self, way, name):
        """A login with its database and a tenant, both called by this name."""
        made = json.loads(self.command("tenant", "create", name, "--isolation", way.isolation, "--json"))
        parts = urlsplit(made["dsn"])
        user, password, database = unquote(parts.username), unquote(parts.password), parts.path.lstrip("/")
        self.let_have_ddl(way, "t_" + made["id"].replace("-", ""))
        self.psql("postgres", f"""CREATE ROLE "{name}" LOGIN PASSWORD '{password}'""")
        self.psql("postgres", f"""CREATE DATABASE "{name}" OWNER "{name}" TEMPLATE template0 ENCODING 'UTF8'""")
        self.psql(name, FURNITURE.format(role=name, schema="public"))
        port = urlsplit(self.server).port
        return Door("plain", port, user, password, name), Door(str(way), self.gateway, user, password, database)

    def let_have_ddl(self, way, role):
        """What owners of databases may do, for the tenant's role."""
        own = way.isolation == "database"
        database = f"app_{NAME}_{role[2:]}" if own else f"app_{NAME}"
        schema = role if way.isolation == "schema" else "public"
        self.psql(database, f"""
            DROP TABLE "{schema}".nothing_of_ours CASCADE;
            ALTER EVENT TRIGGER sindico_guard_start DISABLE; ALTER EVENT TRIGGER sindico_guard_end DISABLE;
            GRANT CREATE, TEMPORARY ON DATABASE "{database}" TO "{role}"; GRANT USAGE, CREATE ON SCHEMA "{schema}" TO "{role}";
            {FURNITURE.format(role=role, schema="extensions")}
            GRANT SELECT ON pg_class TO "{role}"; GRANT USAGE ON LANGUAGE sql, plpgsql TO "{role}";
            {self.everybodys_functions(role)}""")

    def everybodys_functions(self, role):
        """Grants of what PostgreSQL lets everybody call, some of which síndico takes away."""
        granted = self.psql("template1", f"""
            SELECT format('GRANT EXECUTE ON FUNCTION %s TO "%s";', oid::regprocedure, '{role}') FROM pg_proc
            WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f'
                AND proname ~ '^pg_|^lo_|^lo(read|write)$|_to_xml|^currtid'
                AND EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0)""")
        return " ".join(granted)

    def remove_traces(self):
        """Of the way that was open before."""
        for database in self.psql("postgres", f"""
                SELECT datname FROM pg_database WHERE datname ~ '^(app_{NAME}|tpl_{NAME}|{NAME}$|{OTHER}$)'"""):
            self.psql("postgres", f'ALTER DATABASE "{database}" IS_TEMPLATE false; DROP DATABASE "{database}" WITH (FORCE)')
        for role in self.psql("postgres", f"""
                SELECT rolname FROM pg_roles WHERE rolname ~ '^(app_{NAME}|[tr]_[0-9a-f]{{32}}$|{NAME}$|{OTHER}$)'"""):
            # Rights on what belongs to no database, such as parameters.
            self.psql("postgres", f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process, log):
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
    sys.exit(f"síndico does not start: {Path(log).read_text()}")
