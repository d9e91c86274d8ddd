"""Other clients of the same tenant, so that what a suite does in one transaction after the other does not meet the same server
connection each time."""

import random
import subprocess
import threading
import time
from contextlib import contextmanager

# Server connections that síndico may have; more than any suite and the neighbours use at once.
CONNECTIONS = 40
COUNT = 3
SCRIPT = "SELECT pg_sleep(random() * 0.01);\n"


@contextmanager
def at(door, way):
    """Keeps neighbours busy while the block runs. Where sessions have their connections to themselves there is no need."""
    if way.mode == "session":
        yield
        return
    over = threading.Event()
    threads = [threading.Thread(target=keep_busy, args=(door, over)) for _ in range(COUNT)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def keep_busy(door, over):
    client = subprocess.Popen(
        ["psql", "-qAtX"], env=door.environment(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, text=True,
    )
    try:
        while not over.wait(random.random() * 0.02):
            client.stdin.write(SCRIPT)
            client.stdin.flush()
    except BrokenPipeError:
        # A suite may end its tenant's sessions. Let it.
        if not over.is_set():
            time.sleep(0.1)
            keep_busy(door, over)
    finally:
        client.kill()
        client.wait()
