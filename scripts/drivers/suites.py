"""The suites: how each is run at a door, and what it says became of its tests."""

import json
import os
import re
import shutil
import subprocess
import zlib
from dataclasses import asdict, dataclass

import doors
import fetch

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
# A suite that takes longer waits for something that does not come.
PATIENCE = 1800
TEST_SECONDS = 60

# Of Django's applications for tests, those that are about models, statements, transactions and tables. Those about pages and forms
# ask databases for nothing else.
DJANGO = """
    aggregation aggregation_regress annotations async backends basic bulk_create cache.tests.DBCacheTests composite_pk constraints
    contenttypes_tests custom_columns custom_lookups custom_managers custom_methods custom_migration_operations custom_pk datatypes
    dates datetimes db_functions db_typecasts db_utils dbshell defer defer_regress delete delete_regress distinct_on_fields empty
    empty_models expressions expressions_case expressions_window extra_regress field_defaults field_subclassing filtered_relation
    fixtures fixtures_regress force_insert_update foreign_object from_db_value generic_relations generic_relations_regress
    get_earliest_or_latest get_object_or_404 get_or_create indexes inspectdb introspection known_related_objects lookup m2m_and_m2o
    m2m_intermediary m2m_multiple m2m_recursive m2m_regress m2m_signals m2m_through m2m_through_regress m2o_recursive
    managers_regress many_to_many many_to_one many_to_one_null max_lengths migrate_signals migration_test_data_persistence
    migrations migrations2 model_fields model_indexes model_inheritance model_inheritance_regress model_options model_regress
    multiple_database mutually_referential nested_foreign_keys null_fk null_fk_ordering null_queries one_to_one or_lookups
    order_with_respect_to ordering pagination postgres_tests prefetch_related properties proxy_model_inheritance proxy_models
    queries queryset_pickle raw_query reserved_names reverse_lookup save_delete_hooks schema select_for_update select_related
    select_related_onetoone select_related_regress serializers sessions_tests signals sites_framework string_lookup
    swappable_models timezones transaction_hooks transactions unmanaged_models update update_only_fields xor_lookups
""".split()


@dataclass(frozen=True)
class Outcome:
    """What became of one test."""

    how: str
    why: str = ""


class Pytest:
    """A suite that pytest runs, in a folder of its own."""

    # Words for pytest that say which tests.
    tests = ("tests",)
    words = ()

    def __init__(self, store):
        self.store = store
        self.python = store.python()
        self.home = self.prepare()

    def environment(self, door):
        return door.environment()

    def run(self, door, only=None):
        env = self.environment(door) | {"PYTHONPATH": str(fetch.HERE)}
        words = ["-q", "-p", "record", "-p", "no:cacheprovider", "--timeout", str(TEST_SECONDS), "--tb", "native"]
        command = [self.python, "-m", "pytest", *words, *self.words_for(door), *(only or self.tests)]
        return written_down(self, door, command, env)

    def words_for(self, _door):
        return self.words


class Asyncpg(Pytest):
    """asyncpg's, with the server that the environment names."""

    name = "asyncpg"
    # Its own flake8 and examples are not about servers.
    words = ("--ignore=tests/test__sourcecode.py", "--ignore=tests/test__environment.py")

    def prepare(self):
        home = without_package(self.store, self.store.pypi("asyncpg", "0.30.0"), "asyncpg")
        # Pools connect to a database by name.
        change(home, "tests/*.py", {"database='postgres'": f"database='{doors.NAME}'"})
        return home


class Psycopg2(Pytest):
    name = "psycopg2"

    def prepare(self):
        return self.store.pypi("psycopg2", "2.9.13")

    def environment(self, door):
        return door.environment() | {"PSYCOPG2_TESTDB": door.database}


class Pg8000(Pytest):
    """pg8000's, which knows only the user `postgres` by itself."""

    name = "pg8000"
    tests = ("test/native", "test/legacy", "test/dbapi")

    def prepare(self):
        home = without_package(self.store, self.store.pypi("pg8000", "1.31.5"), "src")
        change(home, "test/**/conftest.py", {'"user": "postgres"': '"user": environ["PGUSER"]'})
        return home


class SqlAlchemy(Pytest):
    """SQLAlchemy's suite for dialects and its own tests of PostgreSQL's."""

    tests = ("test/dialect/test_suite.py", "test/dialect/postgresql", "test/engine/test_transaction.py")
    words = ("-p", "no:randomly", "--maxfail=100000")

    def __init__(self, store, driver):
        self.driver, self.name = driver, f"sqlalchemy-{driver}"
        super().__init__(store)

    def prepare(self):
        return self.store.pypi("SQLAlchemy", "2.0.44")

    def run(self, door, only=None):
        """Its classes have names of the moment, by which they cannot be asked for: whole files are."""
        return super().run(door, only and sorted({test.split("::")[0] for test in only}))

    def words_for(self, door):
        return (*self.words, "--dburi", door.url(f"postgresql+{self.driver}"))


class Django:
    """Django's own, of which those that talk to a database. What it calls `other` is a second tenant: tests that want two databases
    have other rows in each."""

    tests = DJANGO

    def __init__(self, store, name, options):
        self.store, self.name, self.options = store, name, options
        self.python = store.python()
        self.home = store.pypi("Django", "5.2.19") / "tests"

    def run(self, door, only=None):
        doors_of = {"default": asdict(door), "other": asdict(door.other)}
        env = door.environment() | {
            "SUITE_DOORS": json.dumps({"doors": doors_of, "options": self.options}),
            "SUITE_TEST_SECONDS": str(TEST_SECONDS),
            "PYTHONPATH": str(fetch.HERE / "for_django"),
        }
        # What fails before the tests of a class have begun is called `setUpClass (class)`.
        labels = sorted({re.sub(r"^\w+ \((.*)\)$", r"\1", test) for test in only or self.tests})
        return written_down(self, door, [self.python, "runtests.py", "--settings", "suite_settings", *labels], env)


class LibpqPipeline:
    """libpq_pipeline of PostgreSQL's own tests. What passes on the wire is compared as well."""

    name = "libpq_pipeline"

    def __init__(self, store):
        self.store = store
        store.install(("build-essential", "cc"), ("make", "make"))
        self.program = store.folder / "libpq_pipeline"
        source = store.debian(*fetch.POSTGRESQL)
        self.expected = source / "src/test/modules/libpq_pipeline/traces"
        if not self.program.exists():
            print("building libpq_pipeline", flush=True)
            build_pipeline(source, self.program)

    def run(self, door, only=None):
        env = door.environment()
        listed = fetch.run(self.program, "tests").split()
        outcomes = {}
        for test in listed:
            trace = self.store.folder / f"pipeline-{test}-{door.name}.trace"
            command = [self.program, "-r", "700", "-t", trace, test, ""]
            done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=TEST_SECONDS)
            outcomes[test] = Outcome(FAILED, done.stderr) if done.returncode else Outcome(PASSED)
            # These are always the same messages in the same order, which is what PostgreSQL's own run looks at as well.
            if (self.expected / f"{test}.trace").exists():
                said = trace.read_text() if trace.exists() else done.stderr
                outcomes[f"{test} on the wire"] = Outcome(f"{len(said)} bytes, {zlib.crc32(said.encode()):08x}", said)
        return outcomes


class TokioPostgres:
    """tokio-postgres' own, of which those that connect by themselves (runtime.rs) find no server on either side."""

    name = "tokio-postgres"

    def __init__(self, store):
        self.store = store
        home = store.crate("tokio-postgres", "0.7.18")
        environment = 'std::env::var("{}").unwrap()'
        who = "".join(f".{field}({environment.format(name)})"
                      for field, name in (("user", "PGUSER"), ("password", "PGPASSWORD"), ("dbname", "PGDATABASE")))
        change(home, "tests/test/main.rs", {
            'TcpStream::connect("127.0.0.1:5433")': f'TcpStream::connect(format!("127.0.0.1:{{}}", {environment.format("PGPORT")}))',
            "let config = s.parse::<Config>().unwrap();":
                'let mut config = s.parse::<Config>().unwrap();\n    if config.get_user() == Some("postgres") {\n'
                f"        config{who};\n    }}",
        })
        words = ["cargo", "test", "--test", "test", "--no-run", "--message-format", "json"]
        env = os.environ | {"CARGO_TARGET_DIR": str(store.folder / "cargo")}
        # It would look for a workspace in the folders above.
        change(home, "Cargo.toml", {"[package]\n": "[workspace]\n\n[package]\n"}, once=True)
        print("building tokio-postgres' tests", flush=True)
        built = (json.loads(line) for line in fetch.run(*words, cwd=home, env=env).splitlines())
        self.program = next(it["executable"] for it in built if it.get("executable"))

    def run(self, door, only=None):
        words = [self.program, "--test-threads", "1", *(["--exact", *only] if only else [])]
        done = subprocess.run(words, env=door.environment(), capture_output=True, text=True, timeout=PATIENCE)
        (self.store.folder / f"{self.name}-{door.name}.log").write_text(done.stdout + done.stderr)
        why = dict(re.findall(r"^---- (\S+) stdout ----\n(.*?)\n\n", done.stdout, re.DOTALL | re.MULTILINE))
        kinds = {"ok": PASSED, "FAILED": FAILED, "ignored": SKIPPED}
        found = re.findall(r"^test (\S+) (?:- should panic )?\.\.\. (\w+)", done.stdout, re.MULTILINE)
        if not found:
            raise RuntimeError(f"{self.name} says nothing: {done.stderr[-2000:]}")
        return {test: Outcome(kinds[word], why.get(test, "")) for test, word in found}


def written_down(suite, door, command, env):
    """Runs a suite that writes a line of JSON for each test into the file that SUITE_OUTCOMES names, and gives what it says."""
    outcomes = suite.store.folder / f"{suite.name}.outcomes"
    outcomes.unlink(missing_ok=True)
    env = env | {"SUITE_OUTCOMES": str(outcomes), "PYTHONDONTWRITEBYTECODE": "1"}
    with (suite.store.folder / f"{suite.name}-{door.name}.log").open("w") as log:
        ended = subprocess.run(command, cwd=suite.home, env=env, stdout=log, stderr=log, timeout=PATIENCE)
    # 0 and 1: all passed, some failed. Otherwise it has not run them all.
    if ended.returncode not in (0, 1) or not outcomes.exists():
        raise RuntimeError(f"{suite.name} did not run to its end ({ended.returncode}); see {log.name}")
    lines = (json.loads(line) for line in outcomes.read_text().splitlines())
    return {line["test"]: Outcome(line["outcome"], line["why"]) for line in lines}


def change(home, files, words, once=False):
    """Replaces words in files of a copy, which may have been changed before."""
    for file in home.glob(files):
        text = file.read_text()
        for before, after in words.items():
            if not (once and after in text):
                text = text.replace(before, after)
        file.write_text(text)


def without_package(store, source, package):
    """A copy of a source without its package, so that tests meet the one that is installed."""
    home = store.folder / f"{source.name}-tests"
    if not home.exists():
        shutil.copytree(source, home, ignore=lambda folder, _: [package] if folder == str(source) else [])
    return home


def build_pipeline(source, program):
    """With the libpq of the same source; its tarball holds what would otherwise have to be generated."""
    if not (source / "config.status").exists():
        fetch.run("./configure", "--without-readline", "--without-zlib", cwd=source)
    fetch.run("make", "-C", "src/backend", "generated-headers", cwd=source)
    for part in ("common", "port", "interfaces/libpq"):
        fetch.run("make", "-C", f"src/{part}", cwd=source)
    fetch.run("make", "-C", "src/test/modules/libpq_pipeline", f"LDFLAGS=-Wl,-rpath,{source / 'src/interfaces/libpq'}", cwd=source)
    shutil.copy(source / "src/test/modules/libpq_pipeline/libpq_pipeline", program)


KINDS = (PASSED, FAILED, SKIPPED)
ALL = {
    "libpq_pipeline": LibpqPipeline,
    "tokio-postgres": TokioPostgres,
    "asyncpg": Asyncpg,
    "psycopg2": Psycopg2,
    "pg8000": Pg8000,
    "sqlalchemy-psycopg": lambda store: SqlAlchemy(store, "psycopg"),
    "sqlalchemy-psycopg2": lambda store: SqlAlchemy(store, "psycopg2"),
    "sqlalchemy-asyncpg": lambda store: SqlAlchemy(store, "asyncpg"),
    "django": lambda store: Django(store, "django", {}),
    # Unless told otherwise Django has the driver put values into the text, and prepares nothing. Several statements in one text,
    # which some tests of migrations send, cannot be prepared: those fail at both doors.
    "django-prepared": lambda store: Django(store, "django-prepared", {"server_side_binding": True, "prepare_threshold": 0}),
}
