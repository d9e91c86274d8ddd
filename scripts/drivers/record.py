"""A plugin of pytest's that writes what became of each test, a line of JSON for each, to the file that SUITE_OUTCOMES names."""

import json
import os

OUTCOMES = {}


def pytest_runtest_logreport(report):
    """Whatever stage of a test went worst is what became of it."""
    outcome = "skipped" if hasattr(report, "wasxfail") else report.outcome
    if report.when != "call" and outcome == "passed":
        return
    if OUTCOMES.get(report.nodeid, ("",))[0] != "failed":
        OUTCOMES[report.nodeid] = outcome, report.longreprtext[-3000:] if outcome == "failed" else ""


def pytest_sessionfinish():
    with open(os.environ["SUITE_OUTCOMES"], "w") as file:
        for test, (outcome, why) in OUTCOMES.items():
            file.write(json.dumps({"test": test, "outcome": outcome, "why": why}) + "\n")
