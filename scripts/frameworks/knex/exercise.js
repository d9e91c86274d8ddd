// Works with the tables as an application would, and prints what it sees: the same wherever the tables live.
const Knex = require("knex");

const knex = Knex({ client: "pg", connection: process.argv[2], pool: { min: 1, max: 1 } });

async function refused(work) {
  try {
    await work();
    return "nothing was refused";
  } catch (error) {
    return [error.code, error.constraint];
  }
}

async function* seen() {
  const ana = { email: "ana@example.com", fullName: "Ana", level: "gold" };
  const [{ id }] = await knex("members").insert(ana).returning("id");
  yield ["made", id];
  yield ["twice", await refused(() => knex("members").insert(ana))];
  yield ["status", await refused(() => knex("members").insert({ email: "x", fullName: "X", status: "gone" }))];
  const upsert = { ...ana, fullName: "Ana Lima", tags: ["new"], balance: 3 };
  yield ["merged", await knex("members").insert(upsert).onConflict("email").merge().returning(["id", "fullName"])];
  yield ["ignored", (await knex("members").insert(upsert).onConflict("email").ignore()).rowCount];
  await knex("members").insert([{ email: "rui@example.com", fullName: "Rui", invited_by: id, phone: "1" }]);
  yield ["phone", await refused(() => knex("members").where({ id }).update({ phone: "1" }))];

  const places = await knex("places").select("id", "name", "covered").orderBy("id");
  yield ["places of the migration", places];
  const booking = { member_id: id, court_id: places[0].id, day: "2999-01-01", hour: "10:00" };
  await knex("bookings").insert(booking);
  yield ["taken", await refused(() => knex("bookings").insert(booking))];
  yield ["unknown", await refused(() => knex("bookings").insert({ ...booking, member_id: 12345, hour: "11:00" }))];
  yield ["in use", await refused(() => knex("places").where({ id: places[0].id }).delete())];
  yield ["upcoming", await knex("upcoming").select("hour", "member")];
  yield [
    "members with bookings",
    await knex("members").leftJoin("bookings", "bookings.member_id", "members.id").groupBy("members.id")
      .select("members.fullName", "members.status").count("bookings.id as n").orderBy("members.id"),
  ];
  yield ["found", await knex("members").whereRaw(`"fullName" % ?`, "Ana Lyma").pluck("id")];
  yield [
    "rolled back",
    await refused(() =>
      knex.transaction(async (trx) => {
        await trx("members").where({ id }).increment("balance", 5);
        await trx.transaction((inner) => inner("members").insert({ email: "tx@example.com", fullName: "Tx" }));
        throw Object.assign(new Error("changed my mind"), { code: "mine" });
      })),
    await knex("members").where({ id }).first("balance"),
  ];
  yield ["numbers", await knex("members").insert({ email: "last@example.com", fullName: "Last" }).returning("id")];
  yield ["cascade", await knex("members").where({ id }).delete(), await knex("bookings").count("* as n").first()];
  yield ["invited by", await knex("members").where({ email: "rui@example.com" }).first("invited_by")];
  await knex("member_places").truncate();
  yield ["page", await knex("members").orderBy("id").limit(1).offset(1).pluck("email")];
  const columns = Object.keys(await knex("places").columnInfo()).filter((name) => name !== "tenant_id");
  yield ["columns", columns];
}

async function main() {
  for await (const words of seen()) console.log(JSON.stringify(words));
}

main()
  .catch((error) => {
    console.error(error);
    process.exitCode = 1;
  })
  .finally(() => knex.destroy());
