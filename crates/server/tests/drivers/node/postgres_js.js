// postgres.js: everything prepared and pipelined, transactions with savepoints, cursors, COPY, LISTEN, cancel.

const postgres = require("postgres");
const { pipeline } = require("node:stream/promises");
const { Readable } = require("node:stream");

const CLIENTS = 20;
const LARGE = 10 << 20;
const said = (name, ...what) => console.log(`${name}: ${JSON.stringify(what)}`);
const code = (doing) => doing.then((value) => value, (error) => error.code ?? String(error));

// postgres.js reads libpq's other variables, but not this one.
const connect = (max) => postgres({ max, connection: { options: process.env.PGOPTIONS }, onnotice: () => {} });

async function main() {
  const sql = connect(1);
  await rows(sql);
  await transactions(sql);
  await kinds(sql);
  await streams(sql);
  await settings(sql);
  await cancelled(sql);
  console.log("advisory locks:", await code(sql`SELECT pg_advisory_xact_lock(1)`));
  await notifications(sql);
  await sql.end();
  await crowd();
}

async function rows(sql) {
  const services = [1, 2, 3].map((nth) => ({ code: `pj_${nth}`, name: "Tried", price: nth }));
  const made = await sql`INSERT INTO services ${sql(services)} RETURNING code, price`;
  const twice = await code(sql`INSERT INTO services ${sql(services[0])}`);
  const upserted = await sql`INSERT INTO services ${sql(services[0])} ON CONFLICT (code) DO UPDATE SET name = 'Upserted' RETURNING name`;
  const some = await sql`SELECT code FROM services WHERE code IN ${sql(["pj_1", "pj_3"])} ORDER BY code`;
  const together = await Promise.all([sql`SELECT 1 AS n`, code(sql`SELECT 1/0`), sql`SELECT 3 AS n`]);
  const several = await sql`SELECT 1 AS a; SELECT 2 AS b`.simple();
  const described = await sql`SELECT code, price FROM services WHERE id = ${1}`.describe();
  const gone = await sql`DELETE FROM services WHERE code LIKE 'pj\\_%'`;
  said("rows", made, twice, upserted, some, together, several, described.columns.map((it) => it.type), described.types, gone.count);
  const failed = await code(sql`SELECT no_such_column FROM services`);
  const wrong = await code(sql.unsafe("SELECT $1::int", ["not a number"]));
  said("errors", failed, wrong, await sql`SELECT 1 AS goes_on`);
}

async function transactions(sql) {
  const kept = await sql.begin("isolation level repeatable read", async (sql) => {
    await sql`INSERT INTO staff (name, works_as) VALUES ('Bia', 'groomer')`;
    const refused = await code(sql.savepoint((sql) => sql`INSERT INTO staff (name, works_as) VALUES ('Cat', 'cat')`));
    const [{ transaction_isolation: level }] = await sql`SHOW transaction_isolation`;
    return [refused, level, await sql`SELECT name FROM staff`];
  });
  const undone = await code(sql.begin(async (sql) => {
    await sql`DELETE FROM staff`;
    throw Object.assign(new Error(), { code: "given up" });
  }));
  const pipelined = await sql.begin((sql) => [sql`SELECT 1 AS a`, sql`DELETE FROM staff RETURNING name`, sql`SELECT count(*) FROM staff`]);
  said("transactions", kept, undone, pipelined);
}

async function kinds(sql) {
  const [row] = await sql`SELECT ${"00000000-0000-0000-0000-000000000007"}::uuid u, ${[1, 2, 3]}::int[] a, ${Buffer.from([0, 255])}::bytea b,
    ${new Date(0)}::timestamptz t, ${"12345678901234567890.5"}::numeric n, ${sql.json({ "é": [1, null] })}::jsonb j, ${true}::bool o, ${null}::text z`;
  said("types", row);
  const large = Buffer.alloc(LARGE, "0123456789abcdef");
  const [{ b }] = await sql`SELECT ${large}::bytea AS b`;
  said("large", b.equals(large));
}

async function streams(sql) {
  const into = await sql`COPY staff (name, works_as) FROM STDIN`.writable();
  await pipeline(Readable.from(Array.from({ length: 2000 }, (_, nth) => `copied ${nth}\treception\n`)), into);
  const seen = [];
  for await (const part of sql`SELECT name FROM staff ORDER BY id`.cursor(300)) seen.push(part.length);
  let each = 0;
  await sql`SELECT name FROM staff`.forEach(() => each++);
  // On a client of its own: postgres.js does not go on with it.
  const other = connect(1);
  let bytes = 0;
  for await (const chunk of await other`COPY (SELECT name FROM staff ORDER BY id) TO STDOUT`.readable()) bytes += chunk.length;
  await other.end({ timeout: 0 });
  said("streams", bytes, seen, each, (await sql`DELETE FROM staff`).count);
}

async function settings(sql) {
  const other = connect(1);
  const [before] = await other`SHOW statement_timeout`;
  await sql`SET statement_timeout = '7s'`;
  const inside = await sql.begin((sql) => [sql`SET LOCAL statement_timeout = '3s'`, sql`SHOW statement_timeout`]);
  const [after] = await sql`SHOW statement_timeout`;
  const [others] = await other`SHOW statement_timeout`;
  await sql`RESET statement_timeout`;
  said("settings", inside[1], after, others.statement_timeout === before.statement_timeout);
  await other.end();
}

async function cancelled(sql) {
  const sleeping = sql`SELECT pg_sleep(60)`;
  const outcome = code(sleeping);
  let ended = false;
  outcome.finally(() => (ended = true));
  // A request that comes before the statement does nothing, so it is made until the statement ends.
  while (!ended) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    if (!ended) sleeping.cancel();
  }
  await code(sql`SELECT pg_sleep(0.2)`);
  said("cancel", await outcome, await sql`SELECT 1 AS after`);
}

async function notifications(sql) {
  const heard = [];
  let enough;
  const all = new Promise((resolve) => (enough = resolve));
  const hear = (channel) => (text) => heard.push([channel, text]) === 2 && enough();
  await sql.listen("pets", hear("pets"));
  await sql.listen("owners", hear("owners"));
  await sql.notify("pets", "barks");
  await sql.notify("nobody", "listens");
  await sql.notify("owners", "");
  await all;
  said("notifications", heard);
}

async function crowd() {
  const sql = connect(CLIENTS);
  const work = (nth) =>
    sql.begin(async (sql) => {
      const [sum] = await sql`SELECT count(*)::int + ${nth}::int AS n FROM breeds WHERE id > ${nth % 11}`;
      const [own] = await sql.unsafe(`SELECT ${nth % 7} + $1::int AS n`, [nth], { prepare: true });
      return sum.n + own.n;
    });
  said("crowd", await Promise.all(Array.from({ length: CLIENTS * 10 }, (_, nth) => work(nth))));
  await sql.end();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
