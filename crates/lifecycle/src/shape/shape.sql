-- A line for each object in a schema, the same wherever that is. The schema is the first of search_path.
WITH home AS (SELECT oid, nspname FROM pg_namespace WHERE nspname = $1::text),
relations AS (
    SELECT c.*, quote_ident(c.relname) AS name FROM pg_class c JOIN home ON c.relnamespace = home.oid
    WHERE c.relkind IN ('r', 'p', 'v', 'S', 'i', 'I', 'c')
),
lines (line) AS (
    SELECT format('relation %s %s%s%s%s%s', name, relkind, CASE WHEN relrowsecurity THEN ' row security' END,
        CASE WHEN relforcerowsecurity THEN ' forced' END, ' ' || reloptions::text,
        ' ' || pg_get_expr(relpartbound, oid))
        || CASE WHEN relkind = 'v' THEN ' ' || pg_get_viewdef(oid) ELSE '' END
    FROM relations WHERE relkind IN ('r', 'p', 'v')
  UNION ALL
    SELECT format('column %s.%s %s %s%s%s%s%s', r.name, quote_ident(a.attname),
        row_number() OVER (PARTITION BY r.oid ORDER BY a.attnum), format_type(a.atttypid, a.atttypmod),
        CASE WHEN a.attnotnull THEN ' not null' END,
        ' collation ' || nullif(a.attcollation, (SELECT typcollation FROM pg_type WHERE oid = a.atttypid))::regcollation::text,
        ' identity ' || nullif(a.attidentity::text, ''),
        CASE WHEN a.attgenerated <> '' THEN ' generated ' ELSE ' default ' END || pg_get_expr(d.adbin, d.adrelid))
    FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
    WHERE r.relkind IN ('r', 'p', 'c')
  UNION ALL
    SELECT format('index %s%s', pg_get_indexdef(i.indexrelid), CASE WHEN NOT i.indisvalid THEN ' invalid' END)
    FROM relations r JOIN pg_index i ON i.indexrelid = r.oid
  UNION ALL
    SELECT format('constraint %s on %s: %s%s', quote_ident(c.conname), coalesce(r.name, c.contypid::regtype::text),
        pg_get_constraintdef(c.oid), CASE WHEN NOT c.convalidated THEN ' (not valid)' END)
    FROM pg_constraint c JOIN home ON c.connamespace = home.oid LEFT JOIN relations r ON r.oid = c.conrelid
  UNION ALL
    SELECT format('trigger %s%s', pg_get_triggerdef(t.oid), CASE WHEN t.tgenabled <> 'O' THEN ' ' || t.tgenabled::text END)
    FROM relations r JOIN pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal
  UNION ALL
    SELECT format('policy %s on %s for %s to %s using %s check %s', quote_ident(p.polname), r.name, p.polcmd,
        (SELECT string_agg(rolname, ',' ORDER BY rolname) FROM pg_roles WHERE oid = ANY (p.polroles)),
        pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
    FROM relations r JOIN pg_policy p ON p.polrelid = r.oid
  UNION ALL
    SELECT format('sequence %s %s start %s increment %s from %s to %s%s', r.name, format_type(s.seqtypid, NULL), s.seqstart,
        s.seqincrement, s.seqmin, s.seqmax, CASE WHEN s.seqcycle THEN ' cycle' END)
    FROM relations r JOIN pg_sequence s ON s.seqrelid = r.oid
  UNION ALL
    SELECT format('routine %s(%s) %s %s %s%s %s', quote_ident(p.proname), pg_get_function_arguments(p.oid), p.prokind,
        coalesce(pg_get_function_result(p.oid), ''), p.provolatile, CASE WHEN p.proisstrict THEN ' strict' END,
        concat(p.proconfig::text, ' ', coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)))
    FROM pg_proc p JOIN home ON p.pronamespace = home.oid
  UNION ALL
    SELECT format('type %s %s %s %s', quote_ident(t.typname), t.typtype, nullif(format_type(t.typbasetype, t.typtypmod), '-'),
        (SELECT string_agg(quote_literal(enumlabel), ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid))
    FROM pg_type t JOIN home ON t.typnamespace = home.oid WHERE t.typtype IN ('e', 'd', 'r')
  UNION ALL
    SELECT format('statistics %s', pg_get_statisticsobjdef(s.oid))
    FROM pg_statistic_ext s JOIN home ON s.stxnamespace = home.oid
),
alike AS (
    SELECT replace(replace(line, (SELECT nspname FROM home), 'public'), 'public.', '') COLLATE "C" AS line FROM lines
)
