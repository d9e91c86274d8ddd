"""asyncpg: binary protocol throughout, a cache of prepared statements, a pool that tidies up, records COPYed both ways."""

import asyncio
import datetime
import decimal
import io
import json
import os
import uuid

import asyncpg

CLIENTS = 20
# asyncpg reads libpq's other variables, but not this one.
SETTINGS = dict(word.split("=", 1) for word in os.environ["PGOPTIONS"].split() if "=" in word)


async def main():
    client = await asyncpg.connect(server_settings=SETTINGS | {"jit": "off"})
    await rows(client)
    await transactions(client)
    await types(client)
    await copies(client)
    await cursors(client)
    await cancelled(client)
    print("advisory locks:", await code(client.execute("SELECT pg_advisory_lock(1); SELECT pg_advisory_unlock(1)")))
    await client.close()
    await notifications()
    await pool()


async def code(doing):
    try:
        return await doing
    except asyncpg.PostgresError as error:
        return error.sqlstate


async def rows(client):
    insert = "INSERT INTO services (code, name, price) VALUES ($1, $2, $3)"
    await client.executemany(insert, [("ap_a", "A", decimal.Decimal("1.50")), ("ap_b", "B", decimal.Decimal(2))])
    twice = await code(client.executemany(insert, [("ap_c", "C", 1), ("ap_a", "A", 1)]))
    upserted = await client.fetchval(
        "INSERT INTO services (code, name, price) VALUES ($1, 'Again', 0) ON CONFLICT (code) DO UPDATE SET name = excluded.name RETURNING name", "ap_a"
    )
    read = await client.fetch("SELECT code, name, price FROM services WHERE code LIKE 'ap\\_%' ORDER BY code")
    gone = await client.execute("DELETE FROM services WHERE code LIKE 'ap\\_%'")
    many = await client.execute("SELECT 1; SELECT 2")
    print("rows:", twice, upserted, [tuple(row) for row in read], gone, many)
    prepared = await client.prepare("SELECT name, born_on FROM animals WHERE id = $1 AND weight_kg > $2")
    print("described:", [it.name for it in prepared.get_parameters()], [it.name for it in prepared.get_attributes()])
    print("prepared:", [await prepared.fetchval(nth, 1) for nth in (0, -1)])


async def transactions(client):
    async with client.transaction(isolation="serializable"):
        await client.execute("INSERT INTO staff (name, works_as) VALUES ('Bia', 'groomer')")
        try:
            async with client.transaction():
                await client.execute("INSERT INTO staff (name, works_as) VALUES ('Cat', 'cat')")
        except asyncpg.CheckViolationError as error:
            print("error:", error.constraint_name, error.table_name)
        level = await client.fetchval("SHOW transaction_isolation")
    read_only = await code(in_read_only(client))
    kept = await client.fetchval("SELECT count(*) FROM staff")
    print("transactions:", level, read_only, kept, await client.execute("DELETE FROM staff"))


async def in_read_only(client):
    async with client.transaction(readonly=True, deferrable=True, isolation="serializable"):
        await client.execute("DELETE FROM staff")


async def types(client):
    moment = datetime.datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=datetime.timezone.utc)
    for kind, value in [
        ("uuid", uuid.UUID(int=7)), ("int[]", [1, None, 3]), ("text[]", [["a", "é"], ["c", 'q"']]), ("bytea", b"\x00\xff"),
        ("timestamptz", moment), ("interval", datetime.timedelta(days=40)), ("numeric", decimal.Decimal("1234567890.123456789")),
        ("jsonb", json.dumps({"a": [1, None]})), ("int4range", asyncpg.Range(1, 5)), ("inet", None), ("float8", 1.5),
    ]:
        print("type:", kind, repr(await client.fetchval(f"SELECT $1::{kind}", value)))
    await client.set_type_codec("json", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
    print("codec:", await client.fetchval("SELECT $1::json", {"a": 1}))
    large = os.urandom(1 << 10) * (10 << 10)
    print("large value:", await client.fetchval("SELECT $1::bytea", large) == large)
    # asyncpg asks the catalog about types that it does not know.
    await client.execute("CREATE TEMP TABLE odd (a int, b text)")
    print("composite:", tuple(await client.fetchval("SELECT row(1, 'x')::odd")))
    await client.execute("DROP TABLE odd")


async def copies(client):
    records = [(f"copied {nth}", "reception") for nth in range(1000)]
    written = await client.copy_records_to_table("staff", records=records, columns=["name", "works_as"])
    csv = io.BytesIO(b"name,works_as\nBia,groomer\n")
    more = await client.copy_to_table("staff", source=csv, columns=["name", "works_as"], format="csv", header=True)
    out = io.BytesIO()
    read = await client.copy_from_query("SELECT name FROM staff WHERE name LIKE $1 ORDER BY id", "copied 99%", output=out)
    bad = await code(client.copy_records_to_table("staff", records=[("x", "cat")], columns=["name", "works_as"]))
    print("copy:", written, more, read, out.getvalue().split(), bad, await client.execute("DELETE FROM staff"))


async def cursors(client):
    async with client.transaction():
        seen = [row[0] async for row in client.cursor("SELECT generate_series(1, 100)", prefetch=7)]
        cursor = await client.cursor("SELECT name FROM species ORDER BY id")
        first, _skipped, then = await cursor.fetchrow(), await cursor.forward(2), await cursor.fetch(2)
    print("cursors:", sum(seen), tuple(first), [tuple(row) for row in then])


async def cancelled(client):
    try:
        await client.fetch("SELECT pg_sleep(60)", timeout=0.5)
    except asyncio.TimeoutError:
        print("cancel: timed out,", await client.fetchval("SELECT 1"))


async def notifications():
    listener, speaker = [await asyncpg.connect(server_settings=SETTINGS) for _ in range(2)]
    heard = asyncio.Queue()
    for channel in ("pets", "owners"):
        await listener.add_listener(channel, lambda _client, _pid, channel, text: heard.put_nowait((channel, text)))
    await speaker.execute("NOTIFY pets, 'barks'; NOTIFY nobody; NOTIFY owners")
    print("notifications:", [await asyncio.wait_for(heard.get(), 20) for _ in range(2)])
    await listener.close()
    await speaker.close()


async def pool():
    """More clients than server connections. Whenever one is given back, asyncpg unlocks, closes, unlistens and resets."""
    async with asyncpg.create_pool(min_size=CLIENTS, max_size=CLIENTS, server_settings=SETTINGS) as pool:

        async def work(nth):
            total = 0
            for turn in range(10):
                async with pool.acquire() as client, client.transaction():
                    total += await client.fetchval("SELECT count(*) + $1 FROM breeds WHERE id > $2", turn, nth)
                    total += await client.fetchval(f"SELECT {nth} + $1::int", turn)
            return total

        print("crowd:", await asyncio.gather(*(work(nth) for nth in range(CLIENTS * 2))))
        async with pool.acquire() as client:
            await client.execute("SET statement_timeout = '7s'")
        async with pool.acquire() as client:
            print("reset:", await client.fetchval("SHOW statement_timeout"))


asyncio.run(main())
