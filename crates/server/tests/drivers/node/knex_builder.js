// Knex over node-postgres: its builder, its pool, its transactions, and what it asks of the catalog.

const knex = require("knex");

const CLIENTS = 20;
const said = (name, ...what) => console.log(`${name}: ${JSON.stringify(what)}`);
const code = (doing) => doing.then((value) => value, (error) => error.code ?? String(error));

async function main() {
  const { PGHOST: host, PGPORT: port, PGUSER: user, PGPASSWORD: password, PGDATABASE: database } = process.env;
  const db = knex({ client: "pg", connection: { host, port, user, password, database }, pool: { min: 0, max: CLIENTS } });
  await rows(db);
  await transactions(db);
  await catalog(db);
  await crowd(db);
  await db.destroy();
}

async function rows(db) {
  const services = Array.from({ length: 40 }, (_, nth) => ({ code: `kx_${String(nth).padStart(2, "0")}`, name: "Tried", price: nth }));
  await db.batchInsert("services", services, 15);
  const made = await db("services").insert({ code: "kx_x", name: "X", price: "1.50" }).returning(["code", "price"]);
  const upserted = await db("services").insert({ code: "kx_x", name: "Y", price: 2 }).onConflict("code").merge(["name"]).returning("name");
  const ignored = await db("services").insert({ code: "kx_x", name: "Z", price: 2 }).onConflict("code").ignore();
  const twice = await code(db("services").insert({ code: "kx_x", name: "Z", price: 2 }));
  const changed = await db("services").where("code", "like", "kx%").increment("price", 1);
  const page = await db("services").select("code", "price").whereIn("code", ["kx_01", "kx_x"]).orderBy("code").limit(5);
  const joined = await db("animals").join("clients", "clients.id", "animals.client_id").select("animals.name as pet", "clients.name as owner");
  const [{ count }] = await db("services").count("* as count").where("code", "like", "kx%");
  const plucked = await db("species").pluck("name").orderBy("id");
  const raw = await db.raw("SELECT ?::int AS n, ? AS t", [7, "text"]);
  let streamed = 0;
  for await (const _row of db("services").where("code", "like", "kx%").stream()) streamed++;
  said("rows", made, upserted, ignored.rowCount, twice, changed, page, joined, count, plucked, raw.rows, streamed);
  said("gone", await db("services").where("code", "like", "kx%").del());
}

async function transactions(db) {
  const kept = await db.transaction(async (outer) => {
    await outer("staff").insert({ name: "Bia", works_as: "groomer" });
    const refused = await code(outer.transaction((inner) => inner("staff").insert({ name: "Cat", works_as: "cat" })));
    return [refused, await outer("staff").select("name")];
  }, { isolationLevel: "serializable" });
  const undone = await code(db.transaction(async (it) => {
    await it("staff").del();
    throw Object.assign(new Error(), { code: "given up" });
  }));
  const locked = await db.transaction((it) => it("staff").select("name").forUpdate());
  said("transactions", kept, undone, locked, await db("staff").del());
}

async function catalog(db) {
  const columns = await db("animals").columnInfo();
  delete columns.tenant_id;
  said("catalog", await db.schema.hasTable("animals"), await db.schema.hasTable("nowhere"), await db.schema.hasColumn("animals", "name"), columns);
}

async function crowd(db) {
  const work = (nth) =>
    db.transaction(async (it) => {
      const found = await it("breeds").where("id", ">", nth % 11).select("id").orderBy("id");
      const [{ n }] = await it.select(it.raw("?::int + 1 AS n", [nth]));
      return found.length + n;
    });
  said("crowd", await Promise.all(Array.from({ length: CLIENTS * 8 }, (_, nth) => work(nth))));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
