"""psycopg 3: rows, transactions, types, COPY, cursors of the server, pipelines, notifications, a pool, and asyncio."""

import asyncio
import datetime
import decimal
import json
import threading
import time
import uuid

import psycopg
from psycopg import errors, sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

LARGE = 10 << 20
CLIENTS = 20


def main():
    with psycopg.connect(autocommit=True) as client:
        rows(client)
        transactions(client)
        types(client)
        copies(client)
        cursors(client)
        pipelines(client)
        settings(client)
        session_state(client)
        large(client)
        cancelled(client)
        advisory(client)
    notifications()
    crowd()
    asyncio.run(with_asyncio())


def code(do):
    try:
        return do()
    except psycopg.Error as error:
        return error.sqlstate or repr(error)


def rows(client):
    with client.cursor(row_factory=dict_row) as cursor:
        made = cursor.execute(
            "INSERT INTO services (code, name, price) VALUES (%s, %s, %s) RETURNING code, price, active",
            ("py_a", "Tried", decimal.Decimal("10.50")),
        ).fetchone()
        twice = code(lambda: cursor.execute("INSERT INTO services (code, name, price) VALUES ('py_a', 'Again', 1)"))
        upsert = """INSERT INTO services (code, name, price) VALUES (%(code)s, 'Upserted', 7)
            ON CONFLICT (code) DO UPDATE SET name = excluded.name, price = services.price + excluded.price
            RETURNING name, price"""
        cursor.executemany(upsert, [{"code": "py_a"}, {"code": "py_b"}], returning=True)
        upserted = []
        while True:
            upserted += cursor.fetchall()
            if not cursor.nextset():
                break
        changed = cursor.execute("UPDATE services SET price = price * 2 WHERE code LIKE 'py\\_%'").rowcount
        gone = cursor.execute("DELETE FROM services WHERE code LIKE 'py\\_%' RETURNING code, price").fetchall()
        many = cursor.execute("SELECT 1; SELECT 2; SELECT 3 WHERE false")
        sets = [many.fetchall()]
        while many.nextset():
            sets.append(many.fetchall())
    print("rows:", made, twice, upserted, changed, sorted(map(str, gone)), sets)
    try:
        client.execute("INSERT INTO clients (name) VALUES ('Nobody')")
    except errors.CheckViolation as error:
        print("error:", error.diag.constraint_name, error.diag.table_name, error.diag.severity)
    print("no such table:", code(lambda: client.execute("SELECT 1 FROM nowhere")))


def transactions(client):
    with client.transaction():
        client.execute("INSERT INTO staff (name, works_as) VALUES ('Bia', 'groomer')")
        try:
            with client.transaction():
                client.execute("INSERT INTO staff (name, works_as) VALUES ('Cat', 'cat')")
        except errors.CheckViolation:
            pass
        with client.transaction(force_rollback=True):
            client.execute("DELETE FROM staff")
        inside = client.execute("SELECT name FROM staff").fetchall()
    client.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    read_only = code(lambda: client.execute("DELETE FROM staff"))
    failed = code(lambda: client.execute("SELECT 1"))
    status = client.info.transaction_status.name
    client.execute("ROLLBACK")
    no_savepoint = code(lambda: client.execute("SAVEPOINT a"))
    client.execute("DELETE FROM staff")
    print("transactions:", inside, read_only, failed, status, no_savepoint, client.info.transaction_status.name)


def types(client):
    moment = datetime.datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=datetime.timezone.utc)
    values = [
        uuid.UUID(int=7), [1, None, 3], [["a", "b"], ["c", 'q"uote']], b"\x00\xff" * 3, moment, moment.date(),
        datetime.timedelta(days=40, seconds=5), decimal.Decimal("12345678901234567890.123456789"), Jsonb({"é": [1, None]}),
        True, None, 2**62, 1.5, "line\nbreak \\ ' \"",
    ]
    for binary in (False, True):
        with client.cursor(binary=binary) as cursor:
            back = [cursor.execute("SELECT %s", (value,)).fetchone()[0] for value in values]
        print("types:", "binary" if binary else "text", back)
    with client.transaction():
        client.execute("CREATE TEMP TABLE typed (u uuid, a int[], b bytea, n numeric, j json, r int4range) ON COMMIT DROP")
        client.execute(
            "INSERT INTO typed VALUES (%s, %s, %s, %s, %s, '[1,5)')",
            (values[0], [1, 2], b"\x00", values[7], json.dumps({"a": 1})),
        )
        print("temporary table:", client.execute("SELECT * FROM typed").fetchone())
    print("it is gone:", code(lambda: client.execute("SELECT * FROM typed")))


def copies(client):
    (animal,) = client.execute("SELECT min(id) FROM animals").fetchone()
    with client.cursor() as cursor:
        with cursor.copy("COPY staff (name, works_as) FROM STDIN") as copy:
            for nth in range(1000):
                copy.write_row((f"copied\t{nth}", "reception"))
        written = cursor.rowcount
        with cursor.copy("COPY visits (animal_id, details) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int8", "jsonb"])
            copy.write_row((animal, Jsonb({"copied": True})))
        with cursor.copy("COPY (SELECT name, works_as FROM staff ORDER BY id) TO STDOUT") as copy:
            read = list(copy.rows())
        with cursor.copy("COPY (SELECT 1::int4, 'a'::text) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["int4", "text"])
            binary = list(copy.rows())
        refused = code(lambda: bad_copy(cursor))
        abandoned = code(lambda: abandoned_copy(cursor))
        removed = cursor.execute("DELETE FROM staff").rowcount, cursor.execute("DELETE FROM visits").rowcount
    print("copy:", written, len(read), read[0], binary, refused, abandoned, removed)


def bad_copy(cursor):
    with cursor.copy("COPY staff (name, works_as) FROM STDIN") as copy:
        copy.write("one\tgroomer\nonly one column\n")


def abandoned_copy(cursor):
    with cursor.copy("COPY staff (name, works_as) FROM STDIN") as copy:
        copy.write_row(("Bia", "groomer"))
        raise psycopg.errors.QueryCanceled("given up")


def cursors(client):
    with client.transaction():
        with client.cursor("animals_of") as cursor:
            cursor.execute("SELECT id, name FROM species ORDER BY id")
            first = cursor.fetchmany(2)
            with client.cursor() as other:
                between = other.execute("SELECT 1").fetchone()
            rest = cursor.fetchall()
    with client.cursor("scrolled", scrollable=True, withhold=True) as cursor:
        cursor.execute("SELECT generate_series(1, 100)")
        cursor.scroll(50)
        held = cursor.fetchone(), cursor.scroll(-10), cursor.fetchone()
    print("cursors:", first, between, len(rest), held)
    # On a client of its own: libpq 18 would go on giving single rows in a pipeline.
    with psycopg.connect() as other:
        print("stream:", sum(row[0] for row in other.cursor().stream("SELECT generate_series(1, 1000)")))


def pipelines(client):
    with client.pipeline() as pipeline:
        cursors = [client.execute("SELECT %s::int * 2", (nth,)) for nth in range(100)]
        pipeline.sync()
        doubled = sum(cursor.fetchone()[0] for cursor in cursors)
    outcome = []
    try:
        with client.pipeline():
            good = client.execute("SELECT 'good'")
            client.execute("INSERT INTO staff (name, works_as) VALUES ('Nobody', 'groomer')")
            client.execute("SELECT 1/0")
            client.execute("SELECT 'skipped'")
    except psycopg.Error as error:
        outcome = [error.sqlstate, good.fetchone(), client.execute("SELECT count(*) FROM staff").fetchone()]
    with client.pipeline():
        with client.transaction():
            client.execute("INSERT INTO staff (name, works_as) VALUES ('Bia', 'groomer')")
        with client.transaction(force_rollback=True):
            client.execute("DELETE FROM staff")
        kept = client.execute("SELECT count(*) FROM staff").fetchone()
    client.execute("DELETE FROM staff")
    print("pipeline:", doubled, outcome, kept)


def settings(client):
    with psycopg.connect(autocommit=True) as other:
        before = other.execute("SHOW statement_timeout").fetchone()
        client.execute("SET statement_timeout = '7s'")
        client.execute("SELECT set_config('app.user', 'bia', false)")
        with client.transaction():
            client.execute("SET LOCAL statement_timeout = '3s'")
            inside = client.execute("SHOW statement_timeout").fetchone()
        seen = []
        for _ in range(5):
            with other.transaction():
                other.execute("SELECT 1")
                seen.append(client.execute("SELECT current_setting('statement_timeout'), current_setting('app.user')").fetchone())
        undisturbed = other.execute("SHOW statement_timeout").fetchone() == before
        other_user = other.execute("SELECT coalesce(current_setting('app.user', true), '')").fetchone()
    client.execute("RESET statement_timeout")
    reset = client.execute("SHOW statement_timeout").fetchone() == before
    print("settings:", inside, set(seen), undisturbed, other_user, reset)


def session_state(client):
    client.execute("CREATE TEMP TABLE kept (n int)")
    client.execute("PREPARE plus AS SELECT $1::int + 1")
    for turn in range(3):
        client.execute("INSERT INTO kept VALUES (%s)", (turn,))
    print("session:", client.execute("SELECT sum(n) FROM kept").fetchone(), client.execute("EXECUTE plus(41)").fetchone())
    client.execute("DISCARD ALL")
    print("discarded:", code(lambda: client.execute("SELECT 1 FROM kept")), code(lambda: client.execute("EXECUTE plus(41)")))


def large(client):
    value = bytes(range(256)) * (LARGE // 256)
    back = client.execute("SELECT %b::bytea", (value,)).fetchone()[0]
    print("large value:", back == value)
    text = "não " * (LARGE // 5)
    with client.transaction(force_rollback=True):
        client.execute("UPDATE clients SET notes = %s", (text,))
        print("large text:", client.execute("SELECT notes FROM clients").fetchone()[0] == text)


def cancelled(client):
    ended = threading.Event()

    def cancel():
        # A request that comes before the statement does nothing, so it is made until the statement ends.
        while not ended.wait(0.05):
            client.cancel_safe()

    thread = threading.Thread(target=cancel)
    thread.start()
    outcome = code(lambda: client.execute("SELECT pg_sleep(60)"))
    ended.set()
    thread.join()
    code(lambda: client.execute("SELECT pg_sleep(0.1)"))
    print("cancel:", outcome, client.execute("SELECT 1").fetchone())


def advisory(client):
    def lock():
        with client.transaction():
            return client.execute("SELECT pg_advisory_xact_lock(1)").rowcount

    print("advisory locks:", code(lock))
    print("advisory unlock all:", code(lambda: client.execute("SELECT pg_advisory_unlock_all()").rowcount))


def notifications():
    with psycopg.connect(autocommit=True) as listener, psycopg.connect(autocommit=True) as speaker:
        # As long as it may be where tenants share a database.
        long = "a_channel_whose_name_has_39_characters_"
        for channel in ("pets", "Owners", long):
            listener.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        with speaker.transaction():
            speaker.execute("NOTIFY pets, 'barks'")
            speaker.execute("SELECT pg_notify('Owners', '')")
            speaker.execute("SELECT pg_notify(%s, 'long')", (long,))
            speaker.execute("NOTIFY nobody, 'listens'")
        heard = [(news.channel, news.payload) for news in listener.notifies(timeout=20, stop_after=3)]
        listener.execute("UNLISTEN pets")
        speaker.execute("NOTIFY pets, 'again'")
        speaker.execute('NOTIFY "Owners", \'last\'')
        heard += [(news.channel, news.payload) for news in listener.notifies(timeout=20, stop_after=1)]
        listening = listener.execute("SELECT count(*) FROM pg_listening_channels()").fetchone()
        print("notifications:", heard, listening)


def crowd():
    """More clients than there are server connections; each has statements that psycopg prepares by itself."""
    totals = {}
    with ConnectionPool(min_size=CLIENTS, max_size=CLIENTS, timeout=60) as pool:

        def work(nth):
            total = 0
            with pool.connection() as client:
                client.prepare_threshold = 1
                for turn in range(15):
                    with client.transaction():
                        found = client.execute("SELECT count(*) + %s FROM breeds WHERE id > %s", (turn, nth)).fetchone()
                        total += found[0]
                        own = f"SELECT {nth} + %s"
                        total += client.execute(own, (turn,)).fetchone()[0]
            totals[nth] = total

        threads = [threading.Thread(target=work, args=(nth,)) for nth in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    print("crowd:", [totals.get(nth) for nth in range(CLIENTS)])


async def with_asyncio():
    async with await psycopg.AsyncConnection.connect() as client:
        async with client.transaction():
            cursor = await client.execute("SELECT name FROM species ORDER BY id")
            print("asyncio:", await cursor.fetchall())
    async with await psycopg.AsyncConnection.connect(autocommit=True) as client:
        task = asyncio.create_task(client.execute("SELECT pg_sleep(60)"))
        await asyncio.sleep(0.2)
        started = time.monotonic()
        while not task.done():
            await client.cancel_safe()
            await asyncio.wait([task], timeout=0.1)
        print("asyncio cancel:", getattr(task.exception(), "sqlstate", None), time.monotonic() - started < 30)


main()
