//! What PostgreSQL allows everybody, and what of it is left where tenants share a database.

use std::process::Command;

use super::ALL;
use crate::bed::{Bed, dsn, enter, rows, sqlstate};

/// Counters, sizes, other sessions and shared name spaces.
const TELLING: &[&str] = &[
    "SELECT reltuples FROM pg_class",
    "SELECT relpages FROM pg_class",
    "SELECT relallvisible FROM pg_class WHERE relname = 'clients'",
    "SELECT * FROM pg_class",
    "SELECT c FROM pg_class c",
    "SELECT pg_relation_size('clients')",
    "SELECT pg_total_relation_size('clients')",
    "SELECT pg_table_size('clients')",
    "SELECT pg_indexes_size('clients')",
    "SELECT pg_stat_get_live_tuples('clients'::regclass)",
    "SELECT n_live_tup FROM pg_stat_user_tables",
    "SELECT idx_scan FROM pg_stat_user_indexes",
    "SELECT heap_blks_hit FROM pg_statio_user_tables",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_try_advisory_lock(1)",
    // In a string, which nothing in front of the database reads.
    "SELECT query_to_xml('SELECT pg_notify(''a'', ''b'')', true, false, '')",
    "SELECT lo_creat(-1)",
    "SELECT lo_get(1)",
];

/// What tells of the server's other databases and sessions, whoever asks.
const SERVER_WIDE: &[&str] = &[
    "SELECT * FROM pg_stat_activity",
    "SELECT pg_stat_get_backend_pid(1)",
    "SELECT * FROM pg_stat_database",
    "SELECT * FROM pg_stat_progress_vacuum",
    "SELECT * FROM pg_locks",
    "SELECT pg_blocking_pids(1)",
    "SELECT * FROM pg_prepared_xacts",
    "SELECT pg_database_size('postgres')",
    "SELECT pg_tablespace_size('pg_default')",
];

/// What drivers and frameworks ask to find their way.
const LOOKUPS: &[&str] = &[
    "SELECT oid, typname, typelem, typtype, typbasetype FROM pg_type",
    "SELECT t.typname, n.nspname, r.rngsubtype FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_range r ON r.rngtypid = t.oid",
    "SELECT table_name, column_name, data_type, column_default, is_nullable FROM information_schema.columns WHERE table_name = 'clients'",
    "SELECT constraint_name, table_name FROM information_schema.table_constraints",
    "SELECT * FROM information_schema.key_column_usage",
    "SELECT c.relname, c.relkind, c.relispartition, obj_description(c.oid, 'pg_class') FROM pg_class c LEFT JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('f', 'm', 'p', 'r', 'v') AND pg_table_is_visible(c.oid)",
    "SELECT a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attrelid = 'clients'::regclass AND a.attnum > 0",
    "SELECT pg_get_constraintdef(oid), conrelid::regclass FROM pg_constraint",
    "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'clients'",
    "SELECT pg_get_indexdef(indexrelid), indisunique, indkey FROM pg_index",
    "SELECT c.xmin, c.oid, c.relname, c.reloptions, c.relpersistence FROM pg_class c",
    "SELECT tablename, schemaname FROM pg_tables UNION SELECT viewname, schemaname FROM pg_views",
    "SELECT sequencename, start_value, increment_by FROM pg_sequences",
    "SELECT current_setting('server_version'), version(), current_schema(), current_schemas(true)",
    "SHOW ALL",
    "SELECT name, setting FROM pg_settings",
    "SELECT txid_current(), pg_backend_pid(), pg_is_in_recovery()",
    "SELECT nspname FROM pg_namespace; SELECT extname FROM pg_extension; SELECT enumlabel FROM pg_enum; SELECT collname FROM pg_collation",
];

#[tokio::test]
async fn shared_databases_tell_nothing_of_others_and_own_ones_of_oneself() {
    let bed = Bed::make().await;
    for isolation in ALL {
        let session = enter(&bed.tenant(&format!("{isolation}-t"), isolation).await).await;
        for attempt in TELLING {
            let code = sqlstate(&session, attempt).await;
            if ["shared", "schema"].contains(&isolation) {
                assert_eq!(code, "42501", "{isolation}: {attempt}");
            } else {
                assert_ne!(code, "42501", "{isolation}: {attempt}");
            }
        }
        for attempt in SERVER_WIDE {
            assert_eq!(sqlstate(&session, attempt).await, "42501", "{isolation}: {attempt}");
        }
        // Drivers' pools tidy up so.
        assert_eq!(rows(&session, "SELECT pg_advisory_unlock_all()").await, [""], "{isolation}");
        for lookup in LOOKUPS {
            assert!(!rows(&session, lookup).await.is_empty(), "{isolation}: {lookup}");
        }
        // A language, and with it LOCK from within, only where one's tables are one's own.
        let code = sqlstate(&session, "DO $$BEGIN PERFORM 1; END$$").await;
        assert_eq!(code == "42501", isolation == "shared", "{isolation}: {code}");
    }
    bed.close().await;
}

#[tokio::test]
async fn psql_finds_its_way() {
    let bed = Bed::make().await;
    for isolation in ALL {
        let tenant = bed.tenant(&format!("{isolation}-t"), isolation).await;
        let mut psql = Command::new("psql");
        psql.arg("--no-psqlrc").args(["--set", "ON_ERROR_STOP=1", "--dbname", dsn(&tenant)]);
        for command in [
            "\\d",
            "\\d clients",
            "\\d+ animals",
            "\\dt",
            "\\di",
            "\\ds",
            "\\dv",
            "\\df",
            "\\dn",
            "\\dT",
            "\\du",
            "\\dp",
            "\\dx",
            "\\dd",
            "\\conninfo",
        ] {
            psql.args(["--command", command]);
        }
        // A psql that is older than the server asks pg_database for columns that are gone, whoever it is.
        let superuser = Command::new("psql")
            .args(["--no-psqlrc", "--dbname", &bed.server_dsn(0, "postgres"), "-c", "\\l"])
            .output();
        if superuser.is_ok_and(|out| out.status.success()) {
            psql.args(["--command", "\\l"]);
        }
        let out = tokio::task::spawn_blocking(move || psql.output()).await.expect("a task").expect("psql is installed");
        let (said, complained) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        let errors: Vec<_> = complained.lines().filter(|line| !line.starts_with("Did not find any")).collect();
        assert!(out.status.success() && errors.is_empty(), "{isolation}: {errors:?}");
        assert!(said.contains("clients_by_name") && said.contains("animals"), "{isolation}: {said}");
    }
    bed.close().await;
}
