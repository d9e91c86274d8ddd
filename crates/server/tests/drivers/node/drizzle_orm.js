// Drizzle over node-postgres and over postgres.js: the same queries, prepared ones among them.

const { drizzle: overNodePostgres } = require("drizzle-orm/node-postgres");
const { drizzle: overPostgresJs } = require("drizzle-orm/postgres-js");
const { and, count, eq, gt, inArray, like, relations, sql } = require("drizzle-orm");
const { bigint, boolean, integer, numeric, pgTable, smallint, text, jsonb, timestamp } = require("drizzle-orm/pg-core");
const { Pool } = require("pg");
const postgres = require("postgres");

const CLIENTS = 16;
const said = (name, ...what) => console.log(`${name}: ${JSON.stringify(what)}`);
const code = (doing) => doing.then((value) => value, (error) => error.cause?.code ?? error.code ?? String(error));

const id = () => bigint("id", { mode: "number" }).primaryKey().generatedAlwaysAsIdentity();
const clients = pgTable("clients", { id: id(), name: text("name").notNull(), email: text("email") });
const animals = pgTable("animals", {
  id: id(),
  clientId: bigint("client_id", { mode: "number" }).notNull(),
  speciesId: smallint("species_id").notNull(),
  name: text("name").notNull(),
  neutered: boolean("neutered").notNull().default(false),
});
const services = pgTable("services", { code: text("code").unique(), name: text("name"), price: numeric("price"), minutes: integer("duration_minutes") });
const visits = pgTable("visits", { animalId: bigint("animal_id", { mode: "number" }), at: timestamp("happened_at", { withTimezone: true }), details: jsonb("details") });
const schema = {
  clients,
  animals,
  clientsRelations: relations(clients, ({ many }) => ({ animals: many(animals) })),
  animalsRelations: relations(animals, ({ one }) => ({ client: one(clients, { fields: [animals.clientId], references: [clients.id] }) })),
};

async function main() {
  const pool = new Pool({ max: CLIENTS });
  await exercise("node-postgres", overNodePostgres(pool, { schema }));
  await pool.end();
  const client = postgres({ max: CLIENTS, connection: { options: process.env.PGOPTIONS } });
  await exercise("postgres.js", overPostgresJs(client, { schema }));
  await client.end();
}

async function exercise(name, db) {
  const made = await db.insert(clients).values([{ name: "Bia", email: "bia@example.com" }, { name: "Caio", email: "c@example.com" }]).returning();
  const [bia] = made;
  await db.insert(animals).values([{ clientId: bia.id, speciesId: 2, name: "Mimi" }, { clientId: bia.id, speciesId: 1, name: "Tom" }]);
  const nested = await db.query.clients.findMany({
    where: inArray(clients.name, ["Bia", "Caio"]), columns: { name: true }, with: { animals: { columns: { name: true }, orderBy: animals.name } }, orderBy: clients.name,
  });
  said(name, made.map((it) => it.name), nested);

  const values = { code: "dz", name: "Tried", price: "1.50", minutes: 10 };
  await db.insert(services).values(values);
  const twice = await code(db.insert(services).values(values));
  const upserted = await db.insert(services).values(values).onConflictDoUpdate({ target: services.code, set: { name: "Upserted" } }).returning({ name: services.name });
  const changed = await db.update(services).set({ price: sql`${services.price} + 1` }).where(like(services.code, "dz%")).returning({ price: services.price });
  said(name, twice, upserted, changed, (await db.delete(services).where(eq(services.code, "dz")).returning({ code: services.code })));

  await db.insert(visits).values({ animalId: sql`(SELECT min(id) FROM animals)`, at: new Date(0), details: { "é": [1, null] } });
  said(name, await db.select({ at: visits.at, details: visits.details }).from(visits));
  await db.delete(visits);

  const undone = await code(db.transaction(async (outer) => {
    await outer.delete(animals);
    const refused = await code(outer.transaction((inner) => inner.insert(clients).values({ name: "" })));
    const [{ left }] = await outer.select({ left: count() }).from(animals);
    throw Object.assign(new Error(), { code: `given up after ${refused}, ${left}` });
  }));
  said(name, undone, await db.select({ n: count() }).from(animals));

  const prepared = db.select({ n: count() }).from(animals).where(and(gt(animals.speciesId, sql.placeholder("least")), eq(animals.neutered, false))).prepare("counted");
  const crowd = await Promise.all(Array.from({ length: CLIENTS * 4 }, (_, nth) => db.transaction(async (it) => {
    const [{ n }] = await it.select({ n: count() }).from(animals).where(gt(animals.speciesId, nth % 3));
    return n;
  })));
  const counted = await Promise.all(Array.from({ length: CLIENTS * 4 }, (_, nth) => prepared.execute({ least: nth % 3 })));
  said(name, crowd, counted.map(([{ n }]) => n));
  await db.delete(clients).where(inArray(clients.name, ["Bia", "Caio"]));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
