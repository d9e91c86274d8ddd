// A club with members, written with knex's schema builder.
exports.up = (knex) =>
  knex.schema
    .createTable("members", (table) => {
      table.increments();
      table.uuid("public_id").notNullable().unique().defaultTo(knex.raw("gen_random_uuid()"));
      table.string("email", 254).notNullable().unique("members_email_once", { deferrable: "immediate" });
      table.string("fullName").notNullable();
      table.enum("status", ["active", "paused", "left"]).notNullable().defaultTo("active");
      table.enu("level", ["bronze", "silver", "gold"], { useNative: true, enumName: "member_level" });
      table.specificType("tags", "text[]").notNullable().defaultTo("{}");
      table.jsonb("profile").defaultTo("{}");
      table.binary("photo");
      table.decimal("balance", 14, 2).notNullable().defaultTo(0);
      table.timestamps(true, true);
      table.index(["status", "fullName"], "members_status");
    })
    .createTable("courts", (table) => {
      table.bigIncrements("id");
      table.string("name").notNullable().comment("As painted on the door");
      table.boolean("covered").defaultTo(false);
      table.check("char_length(??) > 1", ["name"]);
    })
    .createTable("bookings", (table) => {
      table.bigIncrements("id");
      table.integer("member_id").unsigned().notNullable().references("id").inTable("members").onDelete("CASCADE");
      table.bigInteger("court_id").notNullable().references("courts.id").onUpdate("CASCADE").onDelete("RESTRICT");
      table.date("day").notNullable();
      table.time("hour").notNullable();
      table.specificType("length", "interval");
      table.unique(["court_id", "day", "hour"]);
    });
