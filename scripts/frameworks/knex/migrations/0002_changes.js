// What comes after a first release.
exports.up = (knex) => [
  knex.schema.alterTable("members", (table) => {
    table.string("phone", 32);
    table.string("fullName", 160).notNullable().alter();
    table.renameColumn("public_id", "handle");
    table.dropIndex([], "members_status");
    table.integer("invited_by").references("members.id").onDelete("SET NULL");
    const known = knex.whereNotNull("phone");
    table.unique(["phone"], { indexName: "members_phone_once", predicate: known, useConstraint: false });
  }),
  knex.schema.renameTable("courts", "places"),
  knex.schema.createTable("member_places", (table) => {
    table.integer("member_id").references("members.id");
    table.bigInteger("place_id").references("places.id");
    table.primary(["member_id", "place_id"]);
  }),
  knex.schema.createView("upcoming", (view) => {
    view.columns(["day", "hour", "member"]);
    view.as(
      knex("bookings")
        .join("members", "members.id", "bookings.member_id")
        .select("day", "hour", "fullName")
        .where("day", ">=", knex.raw("current_date")),
    );
  }),
  knex("places").insert([
    { name: "Central", covered: true },
    { name: "O'Hara", covered: false },
  ]),
  knex.raw("create extension if not exists pg_trgm"),
  knex.raw('create index members_name_search on members using gin ("fullName" gin_trgm_ops)'),
];
