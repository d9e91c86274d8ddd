//! What migration tools write around their statements.

use crate::worlds::Worlds;

#[tokio::test]
async fn blocks_that_guard_against_what_is_there() {
    let worlds = Worlds::build(
        "DO $$ BEGIN
           CREATE TYPE \"public\".\"role\" AS ENUM('admin', 'user');
         EXCEPTION WHEN duplicate_object THEN null;
         END $$;
         --> statement-breakpoint
         DO $$ BEGIN CREATE TYPE role AS ENUM('x'); EXCEPTION WHEN duplicate_object THEN NULL; END $$;
         CREATE TABLE IF NOT EXISTS \"users\" (\"id\" int PRIMARY KEY NOT NULL, \"role\" \"role\" DEFAULT 'user' NOT NULL);
         CREATE TABLE \"posts\" (\"id\" int PRIMARY KEY, \"user_id\" int);
         --> statement-breakpoint
         DO $$ BEGIN
          ALTER TABLE \"posts\" ADD CONSTRAINT \"posts_user_id_fk\" FOREIGN KEY (\"user_id\") REFERENCES \"public\".\"users\"(\"id\")
            ON DELETE no action ON UPDATE no action;
         EXCEPTION WHEN duplicate_object THEN null;
         END $$;
         DO $$ BEGIN
           IF NOT EXISTS (SELECT 1 FROM pg_type WHERE typname = 'level') THEN
             CREATE TYPE level AS ENUM ('low');
           END IF;
           IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app_user') THEN CREATE ROLE app_user LOGIN; END IF;
           IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'anon') THEN GRANT SELECT ON users TO anon; END IF;
           IF EXISTS (SELECT FROM information_schema.tables WHERE table_name = 'nothing') THEN
             EXECUTE 'DROP TABLE nothing';
           END IF;
         END; $$ LANGUAGE plpgsql;
         DO $$ BEGIN CREATE EXTENSION IF NOT EXISTS plpgsql; EXCEPTION WHEN OTHERS THEN
           IF EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'plpgsql') THEN RAISE NOTICE 'x'; ELSE RAISE; END IF; END $$;
         ALTER TABLE posts ADD COLUMN level level;
         CREATE TABLE schema_migrations (version varchar(255) PRIMARY KEY);
         CREATE TABLE ar_internal_metadata (key varchar PRIMARY KEY, value varchar);
         INSERT INTO \"schema_migrations\" (version) VALUES ('2024'), ('2025');
         VACUUM; ANALYZE posts; SHOW search_path; RESET ALL;",
        "",
    )
    .await;
    assert_eq!(worlds.answer("INSERT INTO users (id) VALUES (1) RETURNING role").await, "user");
    assert_eq!(
        worlds.answer("INSERT INTO posts (id, user_id, level) VALUES (1, 1, 'low') RETURNING level").await,
        "low"
    );
    assert!(worlds.answer("INSERT INTO posts (id, user_id) VALUES (2, 2)").await.starts_with("23503 "));
    assert_eq!(worlds.answer("SELECT version FROM schema_migrations ORDER BY 1").await, "2024\n2025");
    worlds.clear().await;
}
