// node-postgres: rows, prepared statements by name, transactions, cursors, COPY, cancel, notifications, a pool.

const { Client, Pool, types } = require("pg");
const Cursor = require("pg-cursor");
const { from, to } = require("pg-copy-streams");
const { pipeline } = require("node:stream/promises");
const { Readable } = require("node:stream");

const CLIENTS = 20;
const LARGE = 10 << 20;

const said = (name, ...what) => console.log(`${name}: ${JSON.stringify(what)}`);
const code = (doing) => doing.then((value) => value.rows ?? value, (error) => error.code ?? String(error));

async function main() {
  const client = new Client();
  await client.connect();
  await rows(client);
  await transactions(client);
  await kinds(client);
  await copies(client);
  await cursors(client);
  await session(client);
  await cancelled(client);
  console.log("advisory locks:", await code(client.query("SELECT pg_advisory_xact_lock(1)")));
  await client.end();
  await notifications();
  await crowd();
}

async function rows(client) {
  const insert = "INSERT INTO services (code, name, price) VALUES ($1, $2, $3) RETURNING code, price, active";
  const made = await client.query(insert, ["np_a", "Tried", "10.50"]);
  const twice = await code(client.query(insert, ["np_a", "Again", 1]));
  const named = { name: "upsert", text: "INSERT INTO services (code, name, price) VALUES ($1, 'U', 7) ON CONFLICT (code) DO UPDATE SET name = 'U' RETURNING code, name" };
  const upserted = [];
  for (const value of ["np_a", "np_b"]) upserted.push((await client.query({ ...named, values: [value] })).rows);
  const many = await client.query("SELECT 1 AS a; SELECT 2 AS b; UPDATE services SET price = price WHERE code LIKE 'np%'");
  const gone = await client.query("DELETE FROM services WHERE code LIKE 'np\\_%'");
  said("rows", made.rows, twice, upserted, many.map((it) => [it.command, it.rowCount, it.rows]), gone.rowCount);
  try {
    await client.query("INSERT INTO staff (name, works_as) VALUES ('Cat', 'cat')");
  } catch (error) {
    said("error", error.severity, error.code, error.constraint, error.table, error.schema && "a schema");
  }
  const all = await Promise.all([1, 2, 3].map((n) => client.query("SELECT $1::int AS n", [n])));
  said("queued", all.map((it) => it.rows[0].n));
}

async function transactions(client) {
  await client.query("BEGIN ISOLATION LEVEL SERIALIZABLE");
  await client.query("INSERT INTO staff (name, works_as) VALUES ('Bia', 'groomer')");
  await client.query("SAVEPOINT a");
  const refused = await code(client.query("SELECT 1/0"));
  const failed = await code(client.query("SELECT 1"));
  await client.query("ROLLBACK TO a");
  const level = await client.query("SHOW transaction_isolation");
  await client.query("COMMIT");
  const gone = await client.query("DELETE FROM staff RETURNING name");
  said("transactions", refused, failed, level.rows, gone.rows);
}

async function kinds(client) {
  const row = await client.query(
    "SELECT $1::uuid u, $2::int[] a, $3::bytea b, $4::timestamptz t, $5::numeric n, $6::jsonb j, $7::text[] x, $8::bool o, $9::text z",
    ["00000000-0000-0000-0000-000000000007", [1, null, 3], Buffer.from([0, 255]), new Date(0), "12345678901234567890.5", { "é": [1, null] }, ["a", 'q"'], true, null],
  );
  said("types", row.rows, row.fields.map((it) => it.dataTypeID), types.builtins.UUID);
  const binary = await client.query({ text: "SELECT 1::int4 AS i, 1.5::float8 AS f, true AS b", binary: true });
  said("binary", binary.rows);
  const large = Buffer.alloc(LARGE, "0123456789abcdef");
  const back = await client.query("SELECT $1::bytea AS b", [large]);
  said("large", back.rows[0].b.equals(large));
}

async function copies(client) {
  const lines = Array.from({ length: 2000 }, (_, nth) => `copied ${nth}\treception\n`);
  const into = client.query(from("COPY staff (name, works_as) FROM STDIN"));
  await pipeline(Readable.from(lines), into);
  let bytes = 0;
  const out = client.query(to("COPY (SELECT name FROM staff ORDER BY id) TO STDOUT"));
  for await (const chunk of out) bytes += chunk.length;
  const bad = await code(pipeline(Readable.from(["one column\n"]), client.query(from("COPY staff (name, works_as) FROM STDIN"))).then(() => 0));
  const gone = await client.query("DELETE FROM staff");
  said("copy", into.rowCount, bytes, bad, gone.rowCount);
}

async function cursors(client) {
  const cursor = client.query(new Cursor("SELECT generate_series(1, $1::int) AS n", [10]));
  const parts = [];
  for (let part = await cursor.read(4); part.length; part = await cursor.read(4)) parts.push(part.map((row) => row.n));
  await cursor.close();
  const half = client.query(new Cursor("SELECT generate_series(1, 1000) AS n"));
  const first = await half.read(1);
  await half.close();
  said("cursors", parts, first, (await client.query("SELECT 1 AS after")).rows);
}

async function session(client) {
  const other = new Client();
  await other.connect();
  const before = (await other.query("SHOW statement_timeout")).rows;
  await client.query("SET statement_timeout = '7s'");
  await client.query("SELECT set_config('app.user', 'bia', false)");
  await client.query("CREATE TEMP TABLE kept (n int)");
  await client.query("INSERT INTO kept VALUES (1), (2)");
  const seen = await client.query("SELECT current_setting('statement_timeout') t, current_setting('app.user') u, sum(n) FROM kept");
  const others = (await other.query("SHOW statement_timeout")).rows;
  await client.query("DROP TABLE kept");
  await client.query("RESET statement_timeout");
  said("session", seen.rows, JSON.stringify(others) === JSON.stringify(before));
  await other.end();
}

async function cancelled(client) {
  // What node-postgres has for it: a connection of its own, with the key of the first.
  const ask = () =>
    new Promise((resolve) => {
      const net = require("node:net").connect(client.port, client.host, () => {
        const key = client.secretKey;
        const rest = Buffer.isBuffer(key) ? key : Buffer.from([key >> 24, key >> 16, key >> 8, key]);
        const head = Buffer.alloc(12);
        head.writeInt32BE(12 + rest.length, 0);
        head.writeInt32BE(80877102, 4);
        head.writeInt32BE(client.processID, 8);
        net.end(Buffer.concat([head, rest]));
      });
      net.on("close", resolve);
      net.on("error", resolve);
      net.resume();
    });
  let ended = false;
  const sleeping = code(client.query("SELECT pg_sleep(60)")).finally(() => (ended = true));
  // A request that comes before the statement does nothing, so it is made until the statement ends.
  while (!ended) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    await ask();
  }
  await code(client.query("SELECT pg_sleep(0.1)"));
  said("cancel", await sleeping, (await client.query("SELECT 1 AS after")).rows);
}

async function notifications() {
  const [listener, speaker] = [new Client(), new Client()];
  await listener.connect();
  await speaker.connect();
  const heard = [];
  const enough = new Promise((resolve) =>
    listener.on("notification", (news) => heard.push([news.channel, news.payload]) === 2 && resolve()),
  );
  await listener.query("LISTEN pets; LISTEN owners");
  await speaker.query("NOTIFY pets, 'barks'; NOTIFY nobody; NOTIFY owners");
  await enough;
  said("notifications", heard);
  await listener.end();
  await speaker.end();
}

async function crowd() {
  const pool = new Pool({ max: CLIENTS });
  const work = async (nth) => {
    let total = 0;
    for (let turn = 0; turn < 10; turn++) {
      const client = await pool.connect();
      try {
        await client.query("BEGIN");
        const sum = await client.query({ name: "sum", text: "SELECT count(*)::int + $1::int AS n FROM breeds WHERE id > $2", values: [turn, nth] });
        const own = await client.query({ name: `own ${nth}`, text: `SELECT ${nth} + $1::int AS n`, values: [turn] });
        total += sum.rows[0].n + own.rows[0].n;
        await client.query("COMMIT");
      } finally {
        client.release();
      }
    }
    return total;
  };
  said("crowd", await Promise.all(Array.from({ length: CLIENTS * 2 }, (_, nth) => work(nth))));
  await pool.end();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
