"""Tries a folder of SQL on a síndico of its own: the check, the registration, and a tenant in every isolation."""

import json
import signal
import subprocess
import time
from dataclasses import dataclass, field

from corpora import run

ISOLATIONS = ("shared", "schema", "database", "cluster")
START_SECONDS = 120
STOP_SECONDS = 60

# What a session finds without naming a schema: `tenant_id` aside, the same in every isolation.
COLUMNS = """
    SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE pg_table_is_visible(c.oid) AND c.relkind IN ('r', 'p', 'v') AND a.attnum > 0 AND NOT a.attisdropped
        AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'extensions') AND a.attname <> 'tenant_id'
    ORDER BY 1, 2"""
TABLES = """
    SELECT quote_ident(c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE pg_table_is_visible(c.oid) AND c.relkind IN ('r', 'p')
        AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'extensions') ORDER BY 1"""


@dataclass
class Outcome:
    """What became of one corpus."""

    corpus: str
    statements: int = 0
    refused: list = field(default_factory=list)
    # By isolation: "yes", or what went wrong.
    loaded: dict = field(default_factory=dict)


class Sindico:
    """A running `sindico up` in a folder, ended with the block."""

    def __init__(self, program, folder):
        self.program, self.folder = str(program), folder

    def __enter__(self):
        ports = ["--gateway-port", "0", "--api-port", "0"]
        self.log = (self.folder.parent / "up.log").open("w")
        words = [self.program, "up", "--dir", str(self.folder), *ports]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        until = time.monotonic() + START_SECONDS
        while not (self.folder / "endpoints.json").exists():
            if self.process.poll() is not None or time.monotonic() > until:
                self.__exit__()
                raise RuntimeError(f"sindico up did not start: {(self.folder.parent / 'up.log').read_text()}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(STOP_SECONDS)
        self.log.close()

    def ask(self, *words):
        return json.loads(run(self.program, "--dir", str(self.folder), "--json", *words))


def check(program, folder):
    """The report of `sindico app check`, which fails when it refuses something."""
    done = subprocess.run([str(program), "--json", "app", "check", str(folder)], capture_output=True, text=True)
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError:
        raise RuntimeError(f"sindico app check {folder.name}: {done.stdout[-2000:]}{done.stderr[-2000:]}") from None


def try_out(sindico, workshop, corpus, folder, exercise):
    """Checks the corpus and, if all of it is accepted, holds a tenant in each isolation against a plain database."""

    def seen(dsn):
        return found(dsn) + (exercise(workshop, dsn).splitlines() if exercise else [])

    report = check(sindico.program, folder)
    outcome = Outcome(corpus, sum(report["summary"]["statements"].values()), report["refused"])
    plain = f"plain_{corpus}"
    workshop.load(plain, sorted(folder.glob("migrations/*.sql")))
    expected = seen(workshop.dsn(plain))
    if outcome.refused:
        return outcome
    try:
        sindico.ask("app", "add", str(folder))
    except RuntimeError as error:
        outcome.loaded = dict.fromkeys(ISOLATIONS, str(error))
        return outcome
    for isolation in ISOLATIONS:
        slug = f"{corpus}-{isolation}".replace("_", "-")
        try:
            tenant = sindico.ask("tenant", "create", slug, "--isolation", isolation, "--app", corpus)
            outcome.loaded[isolation] = difference(expected, seen(tenant["dsn"]))
            # Clusters for one tenant alone are few.
            run(sindico.program, "--dir", str(sindico.folder), "tenant", "delete", slug, "--yes")
        except RuntimeError as error:
            outcome.loaded[isolation] = str(error)
    return outcome


def found(dsn):
    """The columns that a session finds, and how many rows each table has."""

    def ask(sql):
        return run("psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", sql, dsn).splitlines()

    counts = " UNION ALL ".join(f"SELECT $t${table}$t$, count(*) FROM {table}" for table in ask(TABLES))
    return ask(COLUMNS) + ask(f"{counts} ORDER BY 1")


def difference(expected, actual):
    """The word yes, or what a tenant saw that the plain database did not say, and the other way round."""
    if expected == actual:
        return "yes"
    missing, more = sorted(set(expected) - set(actual)), sorted(set(actual) - set(expected))
    if not missing and not more:
        return "the same lines in another order"
    return f"missing {missing[:5]}, more {more[:5]}"
