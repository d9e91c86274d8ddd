//! What a schema's tables look like in PostgreSQL's catalog, for comparing isolations.

use tokio_postgres::Client;

/// One line per column, index and constraint of the tables in these schemas, `tenant_id` aside: its column, and the
/// indexes that exist for it alone.
pub(crate) async fn describe(client: &Client, schemas: &[&str]) -> Vec<String> {
    const SQL: &str = "
        WITH tables AS (
            SELECT c.oid, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY ($1)
        )
        SELECT format('column %s.%s %s not null %s default %s identity %s generated %s', t.relname, a.attname,
                      format_type(a.atttypid, a.atttypmod), a.attnotnull,
                      regexp_replace(regexp_replace(translate(pg_get_expr(d.adbin, d.adrelid), '\"', ''), '(public|global)\\.', '', 'g'),
                                     'sindico.next_value\\((.*?)::text\\)', 'nextval(\\1::regclass)'),
                      a.attidentity, a.attgenerated)
        FROM tables t
        JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
        WHERE a.attname <> 'tenant_id'
        UNION ALL
        SELECT format('constraint %s.%s %s', t.relname, k.conname, k.contype)
        FROM tables t JOIN pg_constraint k ON k.conrelid = t.oid
        -- PostgreSQL names the parts that a reference to a partitioned table has, and they cannot be renamed.
        WHERE NOT (k.contype = 'f' AND k.conparentid <> 0)
          -- Since PostgreSQL 18 NOT NULL is a constraint, too; it is among what is told of columns.
          AND k.contype <> 'n'
          -- What MATCH FULL says is a check of its own where tables are shared.
          AND k.conname NOT LIKE '%\\_match\\_full'
        UNION ALL
        SELECT format('index %s.%s unique %s', t.relname, c.relname, i.indisunique)
        FROM tables t JOIN pg_index i ON i.indrelid = t.oid JOIN pg_class c ON c.oid = i.indexrelid
        WHERE NOT (i.indnatts = 1 AND EXISTS (
            SELECT FROM pg_attribute a
            WHERE a.attrelid = i.indrelid AND a.attnum = i.indkey[0] AND a.attname = 'tenant_id'))
        UNION ALL
        SELECT format('sequence of %s', t.relname)
        FROM tables t
        JOIN pg_depend d ON d.refobjid = t.oid AND d.deptype = 'i'
        JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S'
        ORDER BY 1";
    let rows = client.query(SQL, &[&schemas]).await.expect("the catalog");
    rows.iter().map(|row| row.get::<_, Option<String>>(0).expect("a line")).collect()
}

/// Tables of schema `public` that row-level security does not hold for everybody, and btree indexes there that do not
/// start with `tenant_id`.
pub(crate) async fn unprotected(client: &Client) -> Vec<String> {
    const SQL: &str = "
        SELECT c.relname::text FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
          AND NOT (c.relrowsecurity AND c.relforcerowsecurity
                   AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid))
        UNION ALL
        SELECT i.relname::text FROM pg_index x
        JOIN pg_class i ON i.oid = x.indexrelid
        JOIN pg_class t ON t.oid = x.indrelid AND t.relnamespace = 'public'::regnamespace
        JOIN pg_am m ON m.oid = i.relam AND m.amname = 'btree'
        JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[0]
        WHERE a.attname <> 'tenant_id'";
    let rows = client.query(SQL, &[]).await.expect("the catalog");
    rows.iter().map(|row| row.get(0)).collect()
}
