"""A project with all of Django's own apps that have tables, and one app of ours."""

import os

SECRET_KEY = "only for printing SQL"
USE_TZ = True
SITE_ID = 1
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.flatpages",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.redirects",
    "django.contrib.sessions",
    "django.contrib.sites",
    "clinic",
]
# Nothing is served, so the admin's middleware and templates are not here.
SILENCED_SYSTEM_CHECKS = [f"admin.E{number}" for number in (402, 404, 408, 409, 410)] + ["admin.W411"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]
# libpq's variables say where; Django wants a name all the same.
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ.get("PGDATABASE", "postgres"),
    }
}
