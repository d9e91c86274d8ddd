"""Makes the tenants, each with its schema and tables; prints how many seconds each took if asked to."""

import json
import os
import sys
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
django.setup()

from customers.models import Client  # noqa: E402

took = []
for nth in range(int(os.environ["BENCH_TENANTS"])):
    began = time.monotonic()
    Client(schema_name=f"t{nth}", name=f"t{nth}").save(verbosity=0)
    took.append(time.monotonic() - began)
if "--times" in sys.argv:
    print(json.dumps(took))
