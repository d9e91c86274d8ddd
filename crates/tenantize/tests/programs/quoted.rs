//! Names that need quotes, wherever a name may stand.

use crate::worlds::Worlds;

#[tokio::test]
async fn parameters_and_columns_of_functions() {
    let worlds = Worlds::build(
        r#"CREATE TABLE t ("Id" int PRIMARY KEY, "order" int);
        CREATE FUNCTION f("pId" int, "select" int DEFAULT 2, "odd "" name" int DEFAULT 3) RETURNS int LANGUAGE sql
            AS $$ SELECT "pId" + "select" + "odd "" name" $$;
        CREATE FUNCTION g(a int) RETURNS TABLE ("userId" int, "order" int) LANGUAGE sql AS $$ SELECT "Id", a FROM t $$;
        CREATE FUNCTION h("aB" int, OUT "cD" int, INOUT "user" text) LANGUAGE plpgsql AS $$
            BEGIN "cD" := "aB" + (SELECT count(*) FROM t); "user" := "user" || '!'; END $$;
        CREATE FUNCTION named() RETURNS int LANGUAGE sql AS $$ SELECT f("pId" => 1, "select" := 5) $$;
        CREATE FUNCTION standard("pId" int) RETURNS int LANGUAGE sql RETURN f("pId" => "pId", "select" => 1);
        CREATE PROCEDURE p("newId" int) LANGUAGE sql AS $$ INSERT INTO t VALUES ("newId", 1) $$;
        ALTER FUNCTION f(int, int, int) RENAME TO "fN"; ALTER FUNCTION "fN"(int, int, int) RENAME TO f;
        COMMENT ON FUNCTION f("pId" int, "select" int, int) IS 'x';
        CREATE FUNCTION "trigFn"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW."order" := TG_NARGS; RETURN NEW; END $$;
        CREATE TRIGGER "onInsert" BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION "trigFn"('oneArg', 'twoArg');
        CREATE VIEW "vW" AS SELECT "Id", row_number() OVER "wN" FROM t WINDOW "wN" AS (ORDER BY "Id");"#,
        r#"CALL p("newId" => 7);
        INSERT INTO t ("Id") SELECT f("pId" => 10, "select" := 5) ON CONFLICT ("Id") DO NOTHING;
        INSERT INTO t SELECT 100 + max(x."n") OVER "wN" FROM (SELECT row_number() OVER "iN" AS "n" FROM t
            WINDOW "iN" AS (ORDER BY "Id")) AS x WINDOW "wN" AS (ORDER BY x."n") ON CONFLICT ("Id") DO UPDATE SET "order" = 1;
        INSERT INTO t SELECT 1000 + "jA"."Id" FROM t AS a JOIN t AS b USING ("Id") AS "jA" WHERE "jA"."Id" = 7
            ON CONFLICT ("Id") DO NOTHING;"#,
    )
    .await;
    assert_eq!(worlds.answer("SELECT * FROM g(5) ORDER BY 1").await, "7|5\n18|5\n101|5\n102|5\n1007|5");
    assert_eq!(worlds.answer(r#"SELECT g."userId", g."order" FROM g(1) ORDER BY 1 LIMIT 1"#).await, "7|1");
    assert_eq!(worlds.answer(r#"SELECT * FROM h("aB" => 1, "user" => 'a')"#).await, "6|a!");
    assert_eq!(worlds.answer("SELECT named(), standard(1), f(1)").await, "9|5|6");
    assert_eq!(worlds.answer(r#"SELECT "order" FROM t WHERE "Id" = 7"#).await, "2");
    assert_eq!(worlds.answer(r#"SELECT count(*) FROM "vW""#).await, "5");
    worlds.clear().await;
}

#[tokio::test]
async fn tables_and_what_belongs_to_them() {
    let worlds = Worlds::build(
        r#"CREATE TYPE "myEnum" AS ENUM ('aB', 'select'); ALTER TYPE "myEnum" ADD VALUE 'cD' BEFORE 'select';
        CREATE TYPE "myPair" AS ("leftOne" int, "order" "myEnum");
        ALTER TYPE "myPair" ADD ATTRIBUTE "newOne" text; ALTER TYPE "myPair" RENAME ATTRIBUTE "newOne" TO "user";
        ALTER TYPE "myPair" ALTER ATTRIBUTE "user" TYPE varchar(9);
        CREATE DOMAIN "myDomain" AS text CONSTRAINT "dC" CHECK (VALUE <> '') DEFAULT 'x';
        ALTER DOMAIN "myDomain" ADD CONSTRAINT "dC2" CHECK (length(VALUE) < 9);
        ALTER DOMAIN "myDomain" RENAME CONSTRAINT "dC2" TO "table"; ALTER DOMAIN "myDomain" DROP CONSTRAINT "dC";
        CREATE SEQUENCE "mySeq" INCREMENT BY 2 START 3;
        CREATE TABLE "Parent" ("pId" int GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME "pSeq" START 5),
            "key" text COLLATE "C" NOT NULL, "two" text, CONSTRAINT "pK" PRIMARY KEY ("pId"), CONSTRAINT "uQ" UNIQUE ("key"));
        CREATE TABLE "Child" ("cId" bigint DEFAULT nextval('"mySeq"') PRIMARY KEY, "parentId" int, "select" "myEnum" DEFAULT 'cD',
            "pair" "myPair", "dom" "myDomain", "myArr" "myEnum"[], "at" date, "sum" int GENERATED ALWAYS AS ("parentId" + 1) STORED,
            CONSTRAINT "fK" FOREIGN KEY ("parentId") REFERENCES "Parent" ("pId") ON DELETE SET NULL ("parentId"),
            CONSTRAINT "cK" CHECK ("parentId" > 0));
        ALTER SEQUENCE "mySeq" OWNED BY "Child"."cId"; ALTER SEQUENCE "mySeq" RESTART WITH 11;
        CREATE INDEX "iX" ON "Child" USING btree ("select" DESC, lower("dom"::text) COLLATE "C" text_pattern_ops)
            INCLUDE ("at") WHERE ("parentId" IS NOT NULL);
        CREATE STATISTICS "sT" (ndistinct) ON "parentId", "at" FROM "Child";
        COMMENT ON COLUMN "Child"."select" IS 'x'; COMMENT ON CONSTRAINT "cK" ON "Child" IS 'x'; COMMENT ON INDEX "iX" IS 'x';
        ALTER TABLE "Child" RENAME COLUMN "at" TO "onDay"; ALTER TABLE "Child" RENAME CONSTRAINT "cK" TO "cK2";
        ALTER TABLE "Child" ALTER "onDay" SET DEFAULT '2024-01-01', ALTER "pair" SET STORAGE EXTERNAL, ADD "newCol" int DEFAULT 4;
        ALTER TABLE "Child" ADD CONSTRAINT "eX" EXCLUDE USING btree ("onDay" WITH =, "cId" WITH =);
        ALTER TABLE "Child" ALTER "newCol" TYPE bigint USING "newCol" + 1; ALTER INDEX "iX" RENAME TO "iX2";
        ALTER TABLE "Parent" RENAME TO "User"; ALTER SEQUENCE "pSeq" RENAME TO "uSeq";
        CREATE TABLE "Parted" ("pK" int, "day" date) PARTITION BY RANGE ("day" , "pK");
        CREATE TABLE "Part1" PARTITION OF "Parted" ("pK" NOT NULL) FOR VALUES FROM (MINVALUE, MINVALUE) TO (MAXVALUE, MAXVALUE);
        CREATE VIEW "userView" ("uId", "order") AS SELECT u."pId", u."key" FROM "User" u JOIN "Child" c ON c."parentId" = u."pId";
        ALTER VIEW "userView" RENAME COLUMN "order" TO "group";"#,
        r#"INSERT INTO "User" ("key") VALUES ('kA') ON CONFLICT ("key") DO NOTHING;
        INSERT INTO "Child" ("parentId", "pair", "dom", "myArr") VALUES (5, ROW(1, 'aB', 'u'), 'd', '{select}');
        WITH "wQ" AS (SELECT "pId" AS "iD" FROM "User") UPDATE "Child" AS "cC" SET "newCol" = "wQ"."iD" FROM "wQ"
            WHERE "cC"."parentId" = "wQ"."iD";
        INSERT INTO "Parted" VALUES (1, '2024-01-01');"#,
    )
    .await;
    assert_eq!(
        worlds.answer(r#"SELECT "cId", "parentId", "select", ("pair")."order", "dom", "myArr", "onDay", "sum", "newCol" FROM "Child""#).await,
        "11|5|cD|aB|d|{select}|2024-01-01|6|5"
    );
    assert_eq!(worlds.answer(r#"SELECT "uId", "group" FROM "userView""#).await, "5|kA");
    assert_eq!(worlds.answer(r#"SELECT "pK" FROM "Part1""#).await, "1");
    assert_eq!(worlds.answer(r#"DELETE FROM "User""#).await, "");
    assert_eq!(worlds.answer(r#"SELECT "parentId" FROM "Child""#).await, "NULL");
    worlds.clear().await;
}

#[tokio::test]
async fn keywords_need_none_behind_public() {
    let worlds = Worlds::build(
        r#"CREATE TABLE public.user (id int PRIMARY KEY, name text); CREATE TABLE public.order (id int PRIMARY KEY, buyer int REFERENCES public.user);
        CREATE FUNCTION public.left_of(i int) RETURNS bigint LANGUAGE sql AS $$
            SELECT count(*) FROM public.user WHERE public.user.id < i $$;
        CREATE FUNCTION public.buy(i int) RETURNS int LANGUAGE plpgsql AS $$
            DECLARE found_user public.user%ROWTYPE;
            BEGIN
                SELECT * INTO found_user FROM public.user WHERE id = i;
                INSERT INTO public.order VALUES (i * 10, found_user.id);
                RETURN (SELECT max(id) FROM public.order);
            END $$;
        CREATE FUNCTION public.do(i int) RETURNS int LANGUAGE sql AS $$ SELECT $1 + 1 $$;
        CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := public.do(NEW.id) || NEW.name; RETURN NEW; END $$;
        CREATE TRIGGER logs BEFORE INSERT ON public.user FOR EACH ROW EXECUTE FUNCTION public.log();
        CREATE VIEW public.select AS SELECT u.id, o.id AS "order" FROM public.user u JOIN public.order o ON o.buyer = u.id;"#,
        "INSERT INTO public.user VALUES (1, 'a'), (2, 'b'); SELECT public.buy(2);",
    )
    .await;
    assert_eq!(worlds.answer("SELECT left_of(2), name FROM \"user\" WHERE id = 2").await, "1|3b");
    assert_eq!(worlds.answer("SELECT * FROM \"select\"").await, "2|20");
    worlds.clear().await;
}
