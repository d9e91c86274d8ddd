"""Settings of Django for its own tests at a door. What the door is stands in the environment (suites.py)."""

import json
import os


def database(door, options):
    # The name is TEST's as well: Django would put `test_` in front of it, and nobody here makes databases.
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "127.0.0.1",
        "PORT": door["port"],
        "USER": door["user"],
        "PASSWORD": door["password"],
        "NAME": door["database"],
        "OPTIONS": options,
        "TEST": {"NAME": door["database"]},
    }


ASKED = json.loads(os.environ["SUITE_DOORS"])
DATABASES = {alias: database(door, ASKED["options"]) for alias, door in ASKED["doors"].items()}
TEST_RUNNER = "suite_runner.Runner"

# As in the settings that Django's tests come with.
SECRET_KEY = "secret"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
