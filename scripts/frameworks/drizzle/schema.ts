// A store. drizzle-kit turns it into SQL, once without and once with LATER set, so that there is a second migration.
import { eq, sql } from "drizzle-orm";
import {
  type AnyPgColumn,
  bigint,
  bigserial,
  boolean,
  char,
  check,
  date,
  foreignKey,
  index,
  inet,
  integer,
  interval,
  jsonb,
  numeric,
  pgEnum,
  pgSequence,
  pgTable,
  pgView,
  point,
  primaryKey,
  serial,
  smallint,
  text,
  time,
  timestamp,
  unique,
  uniqueIndex,
  uuid,
  varchar,
} from "drizzle-orm/pg-core";

const later = process.env.LATER !== undefined;

export const orderState = pgEnum("order_state", [
  ...(["cart", "placed", "paid", "shipped", "cancelled"] as const),
  ...(later ? ["returned"] : []),
]);
export const currency = pgEnum("Currency", ["BRL", "EUR", "USD"]);

export const invoiceNumber = pgSequence("invoice_number", { startWith: 1000, increment: 1, minValue: 1000, cache: 1 });

export const customers = pgTable(
  "customers",
  {
    id: uuid().primaryKey().defaultRandom(),
    email: varchar({ length: 255 }).notNull(),
    name: text().notNull(),
    phones: text().array().notNull().default(sql`'{}'::text[]`),
    preferences: jsonb().$type<{ newsletter: boolean }>().default({ newsletter: false }),
    referredBy: uuid().references((): AnyPgColumn => customers.id, { onDelete: "set null" }),
    createdAt: timestamp({ withTimezone: true, precision: 3 }).notNull().defaultNow(),
  },
  (t) => [uniqueIndex("customers_email_lower").on(sql`lower(${t.email})`), index().on(t.createdAt.desc().nullsLast())],
);

export const categories = pgTable(
  "categories",
  {
    id: serial().primaryKey(),
    parentId: integer(),
    slug: varchar({ length: 60 }).notNull().unique(),
    position: later ? bigint({ mode: "number" }).notNull() : smallint().notNull().default(0),
  },
  (t) => [foreignKey({ columns: [t.parentId], foreignColumns: [t.id], name: "categories_parent" }).onDelete("cascade")],
);

export const products = pgTable(
  "products",
  {
    id: integer().primaryKey().generatedAlwaysAsIdentity({ startWith: 100 }),
    categoryId: integer().references(() => categories.id, { onDelete: "restrict", onUpdate: "cascade" }),
    sku: char({ length: 12 }).notNull(),
    title: text().notNull(),
    price: numeric({ precision: 12, scale: 2 }).notNull(),
    currency: currency().notNull().default("BRL"),
    priceWithTax: numeric({ precision: 12, scale: 2 }).generatedAlwaysAs(sql`price * 1.17`),
    place: point(),
    active: boolean().notNull().default(true),
    availableFrom: date().default(sql`CURRENT_DATE`),
  },
  (t) => [
    unique("products_sku").on(t.sku),
    unique("products_title_once").on(t.categoryId, t.title).nullsNotDistinct(),
    check("products_price_positive", sql`${t.price} > 0`),
    index("products_search").using("gin", sql`to_tsvector('simple', ${t.title})`),
    index("products_active").on(t.categoryId, t.price).where(sql`${t.active}`),
  ],
);

export const orders = pgTable(
  "orders",
  {
    id: bigint({ mode: "number" }).primaryKey().generatedByDefaultAsIdentity(),
    customerId: uuid()
      .notNull()
      .references(() => customers.id, { onDelete: "cascade" }),
    invoice: bigint({ mode: "number" })
      .notNull()
      .default(sql`nextval('invoice_number')`),
    state: orderState().notNull().default("cart"),
    placedAt: timestamp({ mode: "string" }),
    fromAddress: inet(),
    holdFor: interval().default("2 days"),
    opensAt: time(),
    ...(later ? { note: varchar({ length: 500 }).notNull().default("it's fine") } : {}),
  },
  (t) => [later ? index("orders_by_state").on(t.state).concurrently() : index().on(t.customerId, t.state)],
);

export const orderLines = pgTable(
  "order_lines",
  {
    orderId: bigint({ mode: "number" })
      .notNull()
      .references(() => orders.id, { onDelete: "cascade" }),
    productId: integer()
      .notNull()
      .references(() => products.id),
    quantity: integer().notNull(),
    unitPrice: numeric({ precision: 12, scale: 2 }).notNull(),
  },
  (t) => [primaryKey({ columns: [t.orderId, t.productId] }), check("quantity_positive", sql`${t.quantity} > 0`)],
);

export const audit = pgTable("auditLog", {
  id: bigserial({ mode: "bigint" }).primaryKey(),
  happenedAt: timestamp("happenedAt", { withTimezone: true }).defaultNow(),
  what: jsonb("What").notNull(),
});

export const paidOrders = pgView("paid_orders").as((qb) =>
  qb.select({ id: orders.id, name: customers.name, invoice: orders.invoice })
    .from(orders)
    .innerJoin(customers, eq(customers.id, orders.customerId))
    .where(eq(orders.state, "paid")),
);

export const revenue = pgView("revenue", { day: date(), total: numeric() }).as(
  sql`select o.placed_at::date as day, sum(l.quantity * l.unit_price) as total
    from ${orders} o join ${orderLines} l on l.order_id = o.id group by 1`,
);
