"""What the gateway's benchmarks run on: síndico with its tenants, PgBouncer beside it, and the load of many tenants."""

import base64
import hashlib
import hmac
import http.client
import json
import os
import resource
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

HERE = Path(__file__).resolve().parent
BUILT = HERE.parent.parent / "target/release"
SCALE = 20
SERVERS = 40
ROWS = 100
# Every tenant's role that may write.
ROLES = "^t_[0-9a-f]{32}$"


def psql(dsn, sql):
    command = ["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", dsn, "-c", sql]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()


def allow_files(count):
    """Lets this process and those that it starts open so many files each; beyond the hard limit only where the system permits."""
    hard = max(count, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, PermissionError):
        sys.exit(f"{count} open files are needed; raise the hard limit (ulimit -Hn) or run as root")


def of_database(dsn, database):
    return urlsplit(dsn)._replace(path=f"/{database}").geturl()


def over_socket(dsn, folder):
    """The same server by its Unix socket in a folder, if one is given."""
    if not folder:
        return dsn
    parts = urlsplit(dsn)
    return f"host={folder} port={parts.port} user={parts.username} password={parts.password} dbname={parts.path[1:]}"


def fill(server, database):
    """pgbench's rows, and a role of its own that bare connections and other poolers log in as; gives its DSN."""
    inside = of_database(server, database)
    psql(inside, f"""
        INSERT INTO pgbench_branches SELECT b, 0, '' FROM generate_series(1, {SCALE}) b;
        INSERT INTO pgbench_tellers SELECT t, (t - 1) / 10 + 1, 0, '' FROM generate_series(1, {10 * SCALE}) t;
        INSERT INTO pgbench_accounts SELECT a, (a - 1) / 100000 + 1, 0, '' FROM generate_series(1, {100000 * SCALE}) a;
        CREATE ROLE bench_peer LOGIN PASSWORD 'peer'; GRANT CONNECT ON DATABASE "{database}" TO bench_peer;
        GRANT USAGE ON SCHEMA public TO bench_peer; GRANT SELECT ON ALL TABLES IN SCHEMA public TO bench_peer""")
    psql(inside, "VACUUM ANALYZE")
    parts = urlsplit(inside)
    return f"postgresql://bench_peer:peer@{parts.hostname}:{parts.port}/{database}"


def fill_shared(server, database):
    """A few rows for each tenant that has none, where tenants share a table."""
    inside = of_database(server, database)
    psql(inside, f"""
        INSERT INTO pgbench_accounts (aid, bid, abalance, filler, tenant_id) SELECT a, 1, 0, '', id
            FROM (SELECT right(rolname, 32)::uuid AS id FROM pg_roles WHERE rolname ~ '{ROLES}') tenants,
                generate_series(1, {ROWS}) a
            WHERE NOT EXISTS (SELECT FROM pgbench_accounts WHERE tenant_id = id)""")
    psql(inside, "VACUUM ANALYZE")


def test_server():
    """The private PostgreSQL that `devdb run` has started."""
    return os.environ.get("SINDICO_TEST_DSN_1") or sys.exit("SINDICO_TEST_DSN_1 is not set; use the make target")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port):
    for _ in range(200):
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
    sys.exit(f"nothing listens on port {port}")


class Sindico:
    """A síndico with one cluster and the app."""

    def __init__(self, folder, server, pooling="own", servers=SERVERS, sockets=None):
        self.folder, self.server, self.sockets = folder, server, sockets
        self.api, self.gateway = free_port(), free_port()
        self.pooling, self.servers = pooling, servers
        # What is made ahead would be work beside what is measured.
        self.warm = 0

    def __enter__(self):
        psql(self.server, "CREATE DATABASE sindico_bench")
        (self.folder / "master.key").write_text("5a" * 32)
        (self.folder / "admin.token").write_text("t" * 32)
        self.start()
        self.command("cluster", "add", "main", over_socket(self.server, self.sockets))
        self.command("app", "add", str(HERE / "app"))
        return self

    def start(self):
        (self.folder / "sindico.toml").write_text(f"""
            [control]
            dsn = "{of_database(self.server, 'sindico_bench')}"
            [secrets]
            master_key_file = "master.key"
            admin_token_file = "admin.token"
            [api]
            listen = "127.0.0.1:{self.api}"
            [gateway]
            listen = "127.0.0.1:{self.gateway}"
            connections_per_tenant = 15000
            pool_mode = "transaction"
            pooling = "{self.pooling}"
            max_clients = 15000
            [pool]
            connections_per_cluster = {self.servers}
            [backups]
            url = "backups"
            [warm_pool]
            size = {self.warm}
            [log]
            filter = "warn"
            format = "text"
            """)
        # With the soft limit of open files that a login shell has.
        limit = ["prlimit", "--nofile=1024:"]
        self.process = subprocess.Popen([*limit, BUILT / "sindico", "serve", "--config", self.folder / "sindico.toml"])
        wait_for(self.api)

    @contextmanager
    def restarted(self, pooling, servers):
        """The same tenants, pooled in another way. Afterwards it does not run."""
        self.stop()
        self.pooling, self.servers = pooling, servers
        self.start()
        yield self
        self.stop()

    @contextmanager
    def keeping(self, warm):
        """The same tenants, with so many more of each isolation made ahead."""
        self.stop()
        self.warm = warm
        self.start()
        yield self

    def command(self, *words):
        return self.attempt(*words, check=True).stdout

    def attempt(self, *words, check=False):
        """A command that may fail."""
        environment = os.environ | {"SINDICO_API": f"http://127.0.0.1:{self.api}", "SINDICO_TOKEN": "t" * 32}
        return subprocess.run([BUILT / "sindico", *words], check=check, capture_output=True, text=True, env=environment)

    def tenant(self, slug="one", isolation="database"):
        return json.loads(self.command("tenant", "create", slug, "--isolation", isolation, "--json"))

    def tenants(self, numbers):
        """Tenants with these numbers, which share tables; eight are made at a time."""
        with ThreadPoolExecutor(8) as makers:
            return list(makers.map(self.numbered, numbers))

    def numbered(self, number):
        door = http.client.HTTPConnection("127.0.0.1", self.api)
        body = json.dumps({"slug": f"tenant-{number}", "isolation": "shared"})
        headers = {"Authorization": "Bearer " + "t" * 32, "Content-Type": "application/json"}
        door.request("POST", "/api/v1/tenants", body, headers)
        answer = door.getresponse()
        text = answer.read()
        door.close()
        if answer.status != 201:
            sys.exit(f"tenant {number} was not made: {text.decode()}")
        return json.loads(text)

    def runs(self):
        return self.process.poll() is None

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def __exit__(self, *_):
        self.stop()


class PgBouncer:
    """Debian's, in transaction mode, if it is installed. It knows the user of `direct`, or these with their verifiers."""

    def __init__(self, folder, direct, users=None, servers=SERVERS, sockets=None):
        self.host = sockets or urlsplit(direct).hostname
        self.folder, self.parts, self.servers, self.pid = folder / "pgbouncer", urlsplit(direct), servers, None
        self.users = users or {self.parts.username: self.parts.password}

    def __enter__(self):
        program = next((it for it in ("/usr/sbin/pgbouncer", "/usr/bin/pgbouncer") if os.path.exists(it)), None)
        if not program:
            print("no pgbouncer; install Debian's for the comparison", file=sys.stderr)
            return self
        self.port, parts = free_port(), self.parts
        self.folder.mkdir(mode=0o755, exist_ok=True)
        (self.folder / "users").write_text("".join(f'"{user}" "{secret}"\n' for user, secret in self.users.items()))
        (self.folder / "ini").write_text(f"""[databases]
{parts.path[1:]} = host={self.host} port={parts.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {self.folder}/users
pool_mode = transaction
default_pool_size = {self.servers}
max_db_connections = {self.servers}
max_client_conn = 20000
log_connections = 0
log_disconnections = 0
""")
        as_other = ["setpriv", "--reuid=nobody", "--clear-groups", "--"] if os.geteuid() == 0 else []
        self.process = subprocess.Popen([*as_other, program, "-q", str(self.folder / "ini")], stderr=subprocess.DEVNULL)
        wait_for(self.port)
        self.pid = self.process.pid
        self.dsn = f"postgresql://{parts.username}:{parts.password}@127.0.0.1:{self.port}{parts.path}"
        return self

    def __exit__(self, *_):
        if self.pid:
            self.process.terminate()
            self.process.wait()


@contextmanager
def common_verifier(server, password):
    """Gives every tenant's role this password, for poolers that know nothing of keys, and afterwards its own again. Yields the
    verifier: a pooler that has the same one as the server logs in without deriving keys anew."""
    verifier = scram_verifier(password)
    each = "DO $$ DECLARE it record; BEGIN FOR it IN TABLE bench_verifiers LOOP EXECUTE format('ALTER ROLE %I PASSWORD %L', {}); END LOOP; END $$"
    psql(server, f"""
        CREATE TABLE bench_verifiers AS SELECT rolname, rolpassword FROM pg_authid WHERE rolname ~ '{ROLES}';
        {each.format(f"it.rolname, '{verifier}'")}""")
    yield verifier
    psql(server, f"{each.format('it.rolname, it.rolpassword')}; DROP TABLE bench_verifiers")


def scram_verifier(password, rounds=4096):
    """As PostgreSQL keeps it (RFC 5803)."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    salt, stored, server = (base64.b64encode(it).decode() for it in (salt, stored, hmac.digest(salted, b"Server Key", "sha256")))
    return f"SCRAM-SHA-256${rounds}:{salt}${stored}:{server}"


def credentials(dsn):
    parts = urlsplit(dsn)
    return unquote(parts.username), unquote(parts.password), parts.path[1:]


@contextmanager
def load(folder, port, tenants, *words):
    """Runs `load` for tenants of (user, password, database); yields what it saw while its connections are still open."""
    listed = folder / "tenants"
    listed.write_text("".join(" ".join(tenant) + "\n" for tenant in tenants))
    command = [BUILT / "examples/load", "--port", port, "--tenants", listed, "--rows", ROWS, *words]
    with subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        if not line:
            sys.exit(f"no measurement of port {port}")
        yield json.loads(line)


def resident(pid):
    """KiB of the process's memory, as in VmRSS of proc(5)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
