"""Writes what `manage.py sqlmigrate` says of every migration into a folder, in the order of `migrate`."""

import io
import os
import pathlib
import sys

import django
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
sys.path.insert(0, str(pathlib.Path(__file__).parent))
django.setup()

folder = pathlib.Path(sys.argv[1])
loader = MigrationLoader(connection)
order = []
for leaf in sorted(loader.graph.leaf_nodes()):
    order += [key for key in loader.graph.forwards_plan(leaf) if key not in order]
for number, (app, name) in enumerate(order, start=1):
    sql = io.StringIO()
    call_command("sqlmigrate", app, name, stdout=sql, no_color=True)
    (folder / f"{number:04}_{app}_{name}.sql").write_text(sql.getvalue())
