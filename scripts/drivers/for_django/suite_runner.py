"""A test runner of Django's that uses the databases that are there, emptied, and writes what became of each test.

That is a line of JSON for each, as record.py does it for pytest, in the file that SUITE_OUTCOMES names.
"""

import json
import os
import signal
import unittest
from contextlib import ExitStack
from unittest import mock

from django.db import connections
from django.test.runner import DiscoverRunner

# What earlier runs have left; extensions stay.
LEFT = """
    SELECT format('DROP %s IF EXISTS %s CASCADE', kind, name) FROM (
        SELECT oid::regclass::text AS name,
            CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind
        FROM pg_class
        WHERE relkind IN ('r', 'p', 'v', 'm', 'S') AND pg_get_userbyid(relowner) = current_user
            AND relnamespace::regnamespace::text !~ '^pg_temp'
    ) AS it ORDER BY kind = 'SEQUENCE'"""


class Result(unittest.TextTestResult):
    """Keeps the worst that was said of each test."""

    def __init__(self, *words, **more):
        super().__init__(*words, **more)
        self.outcomes = {}

    def note(self, test, outcome, why=""):
        if self.outcomes.get(test.id(), ("",))[0] != "failed":
            self.outcomes[test.id()] = outcome, why[-3000:]

    def startTest(self, test):
        super().startTest(test)
        # What waits for something that does not come fails after this time (too_long).
        signal.alarm(int(os.environ["SUITE_TEST_SECONDS"]))

    def stopTest(self, test):
        signal.alarm(0)
        super().stopTest(test)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.note(test, "passed")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note(test, "skipped")

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.note(test, "skipped")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.note(test, "failed", "passes, which it should not")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.note(test, "failed", self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.note(test, "failed", self.errors[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.note(test, "failed", f"{subtest}: {self._exc_info_to_string(err, test)}")


class Runner(DiscoverRunner):
    def __init__(self, **words):
        super().__init__(**words | {"keepdb": True, "parallel": 1, "interactive": False})
        signal.signal(signal.SIGALRM, too_long)

    def get_resultclass(self):
        return Result

    def setup_databases(self, **words):
        """Django's own, which makes the tables; the databases are there."""
        with ExitStack() as stack:
            for alias in connections:
                creation = connections[alias].creation
                empty(connections[alias])
                stack.enter_context(mock.patch.object(creation, "_create_test_db"))
                # Tenants of one app differ in nothing that Django tells databases apart by.
                stack.enter_context(mock.patch.object(creation, "test_db_signature", return_value=(alias,)))
            return super().setup_databases(**words)

    def suite_result(self, suite, result, **words):
        """Writes only here, where the run has come to its end."""
        with open(os.environ["SUITE_OUTCOMES"], "w") as file:
            for test, (outcome, why) in result.outcomes.items():
                file.write(json.dumps({"test": test, "outcome": outcome, "why": why}) + "\n")
        return super().suite_result(suite, result, **words)


def empty(connection):
    # One by one: all in one transaction would take more locks than a server has.
    with connection.cursor() as cursor:
        cursor.execute(LEFT)
        for (statement,) in cursor.fetchall():
            cursor.execute(statement)
    connection.close()


def too_long(_signal, _frame):
    raise TimeoutError("the test takes too long")
