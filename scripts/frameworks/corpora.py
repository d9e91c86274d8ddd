"""Has real tools write their SQL: each function fills a folder with migrations as the tool's users would have them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

HERE = Path(__file__).parent
APPS = HERE.parent.parent / "apps"


@dataclass
class Workshop:
    """Where tools are installed, and a server on which databases can be made and dropped."""

    folder: Path
    server: str

    def dsn(self, database):
        return urlsplit(self.server)._replace(path=f"/{database}").geturl()

    def psql(self, database, *words):
        return run("psql", "-XqAt", "-v", "ON_ERROR_STOP=1", *words, self.dsn(database))

    def database(self, name):
        """An empty database of this name."""
        self.psql("postgres", "-c", f'DROP DATABASE IF EXISTS "{name}"', "-c", f'CREATE DATABASE "{name}"')

    def load(self, database, files):
        """Runs files as they are, in a database of their own."""
        self.database(database)
        for file in files:
            self.psql(database, "-f", str(file))

    def python(self, requirements):
        """A virtual environment with pinned packages; its folder of programs."""
        home = self.folder / f"{requirements.parent.name}-env"
        run(sys.executable, "-m", "venv", str(home))
        run(str(home / "bin/pip"), "install", "--quiet", "--requirement", str(requirements))
        return home / "bin"

    def node(self, project):
        """A copy of the project with its pinned packages beside it. No package's own scripts are run."""
        copy = self.folder / project.name
        shutil.copytree(project, copy)
        run("npm", "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", cwd=copy)
        return copy


def run(*command, cwd=None, env=None):
    """What the command prints; its complaints are shown if it fails."""
    done = subprocess.run(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


def libpq(dsn):
    """The environment from which a client of libpq finds a database."""
    parts = urlsplit(dsn)
    named = {
        "PGHOST": parts.hostname,
        "PGPORT": str(parts.port),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": parts.path.lstrip("/"),
    }
    return os.environ | {name: value for name, value in named.items() if value}


@dataclass
class Corpus:
    """What writes the SQL and, for some, what then works with the tables and prints what it sees."""

    make: Callable
    exercise: Callable | None = None


def django(workshop, out):
    """`sqlmigrate` of every migration. Django asks the server how to quote values, so it needs one."""
    project = HERE / "django"
    programs = workshop.python(project / "requirements.txt")
    workshop.database("sqlmigrate")
    env = libpq(workshop.dsn("sqlmigrate")) | {"PYTHONDONTWRITEBYTECODE": "1"}
    run(str(programs / "python"), str(project / "print_sql.py"), str(out), env=env)


def django_exercise(workshop, dsn):
    """Django's ORM at work."""
    env = libpq(dsn) | {"PYTHONDONTWRITEBYTECODE": "1"}
    return run(str(workshop.folder / "django-env/bin/python"), str(HERE / "django/exercise.py"), env=env)


def alembic(workshop, out):
    """`alembic upgrade head --sql`."""
    project = HERE / "alembic"
    programs = workshop.python(project / "requirements.txt")
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    sql = run(str(programs / "alembic"), "upgrade", "head", "--sql", cwd=project, env=env)
    (out / "0001_upgrade.sql").write_text(sql)


def drizzle(workshop, out):
    """`drizzle-kit generate`, twice."""
    project = workshop.node(HERE / "drizzle")
    for name, env in (("first", {}), ("second", {"LATER": "1"})):
        run("npx", "--no-install", "drizzle-kit", "generate", "--name", name, cwd=project, env=os.environ | env)
    for file in (project / "out").glob("*.sql"):
        shutil.copy(file, out)


def knex(workshop, out):
    """What knex would send for each migration."""
    project = workshop.node(HERE / "knex")
    run("node", "print-sql.js", str(out), cwd=project)


def knex_exercise(workshop, dsn):
    """knex at work."""
    return run("node", "exercise.js", dsn, cwd=workshop.folder / "knex")


def dump(app):
    """`pg_dump` of one customer's database of an app of ours, rows included."""

    def make(workshop, out):
        source = f"customer_{app.name}"
        workshop.load(source, sorted(app.glob("migrations/*.sql")) + sorted(app.glob("seed/*.sql")))
        (out / "0001_dump.sql").write_text(run("pg_dump", workshop.dsn(source)))

    return make


def all_of_them():
    """Every corpus by name."""
    ours = [app for app in sorted(APPS.iterdir()) if (app / "app.toml").exists()]
    return {
        "django": Corpus(django, django_exercise),
        "alembic": Corpus(alembic),
        "drizzle": Corpus(drizzle),
        "knex": Corpus(knex, knex_exercise),
    } | {f"dump_{app.name}": Corpus(dump(app)) for app in ours}
