"""What the gateway's benchmarks run on: síndico with one tenant, and PgBouncer beside it."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent
PROGRAM = HERE.parent.parent / "target/release/sindico"
SCALE = 20
SERVERS = 40


def psql(dsn, sql):
    subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", dsn, "-c", sql], check=True)


def of_database(dsn, database):
    return urlsplit(dsn)._replace(path=f"/{database}").geturl()


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

    def __init__(self, folder, server):
        self.folder, self.server = folder, server
        self.api, self.gateway = free_port(), free_port()

    def __enter__(self):
        psql(self.server, "CREATE DATABASE sindico_bench")
        (self.folder / "master.key").write_text("5a" * 32)
        (self.folder / "admin.token").write_text("t" * 32)
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
            connections_per_tenant = 20000
            pool_mode = "transaction"
            max_clients = 20000
            [pool]
            connections_per_cluster = {SERVERS}
            [log]
            filter = "warn"
            format = "text"
            """)
        self.process = subprocess.Popen([PROGRAM, "serve", "--config", self.folder / "sindico.toml"])
        wait_for(self.api)
        self.command("cluster", "add", "main", self.server)
        self.command("app", "add", str(HERE / "app"))
        return self

    def command(self, *words):
        environment = os.environ | {"SINDICO_API": f"http://127.0.0.1:{self.api}", "SINDICO_TOKEN": "t" * 32}
        return subprocess.run([PROGRAM, *words], check=True, capture_output=True, text=True, env=environment).stdout

    def tenant(self, slug="one", isolation="database"):
        return json.loads(self.command("tenant", "create", slug, "--isolation", isolation, "--json"))

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


class PgBouncer:
    """Debian's, in transaction mode, if it is installed."""

    def __init__(self, folder, direct):
        self.folder, self.parts, self.pid = folder / "pgbouncer", urlsplit(direct), None

    def __enter__(self):
        program = next((it for it in ("/usr/sbin/pgbouncer", "/usr/bin/pgbouncer") if os.path.exists(it)), None)
        if not program:
            print("no pgbouncer; install Debian's for the comparison", file=sys.stderr)
            return self
        port, parts = free_port(), self.parts
        self.folder.mkdir(mode=0o755)
        (self.folder / "users").write_text(f'"{parts.username}" "{parts.password}"\n')
        (self.folder / "ini").write_text(f"""[databases]
{parts.path[1:]} = host={parts.hostname} port={parts.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {self.folder}/users
pool_mode = transaction
default_pool_size = {SERVERS}
max_client_conn = 20000
log_connections = 0
log_disconnections = 0
""")
        as_other = ["setpriv", "--reuid=nobody", "--clear-groups", "--"] if os.geteuid() == 0 else []
        self.process = subprocess.Popen([*as_other, program, "-q", str(self.folder / "ini")], stderr=subprocess.DEVNULL)
        wait_for(port)
        self.pid = self.process.pid
        self.dsn = f"postgresql://{parts.username}:{parts.password}@127.0.0.1:{port}{parts.path}"
        return self

    def __exit__(self, *_):
        if self.pid:
            self.process.terminate()
            self.process.wait()
