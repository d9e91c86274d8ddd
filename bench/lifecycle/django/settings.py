"""A project of django-tenants with the tables of apps/vms, for comparison."""

import os
from urllib.parse import urlsplit

_dsn = urlsplit(os.environ["BENCH_DSN"])
SECRET_KEY = "bench"
DATABASES = {
    "default": {
        "ENGINE": "django_tenants.postgresql_backend",
        "NAME": _dsn.path[1:],
        "USER": _dsn.username,
        "PASSWORD": _dsn.password,
        "HOST": _dsn.hostname,
        "PORT": _dsn.port,
    }
}
DATABASE_ROUTERS = ("django_tenants.routers.TenantSyncRouter",)
SHARED_APPS = ("django_tenants", "customers", "django.contrib.contenttypes")
TENANT_APPS = ("vms",)
INSTALLED_APPS = [*SHARED_APPS, *TENANT_APPS]
TENANT_MODEL = "customers.Client"
TENANT_DOMAIN_MODEL = "customers.Domain"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
