-- A line for each object in a schema, the same wherever that is, under a search_path of pg_catalog. What is in it is found by what depends
-- on it: catalogs have no index by schema, and a database may have thousands of them.
WITH home AS MATERIALIZED (SELECT oid, nspname FROM pg_namespace WHERE nspname = $1::text),
things AS MATERIALIZED (
    SELECT d.classid, d.objid FROM pg_depend d
    WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = (SELECT oid FROM home) AND d.objsubid = 0
),
relations AS MATERIALIZED (
    SELECT c.oid, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.reloptions, c.relpartbound, quote_ident(c.relname) AS name
    FROM pg_class c
    WHERE c.relkind IN ('r', 'p', 'v', 'S', 'c') AND c.oid IN (
        SELECT objid FROM things WHERE classid = 'pg_class'::regclass
      UNION ALL
        -- The columns of a composite type are those of a relation behind it.
        SELECT t.typrelid FROM things s JOIN pg_type t ON t.oid = s.objid
        WHERE s.classid = 'pg_type'::regclass AND t.typtype = 'c')
),
lines (line) AS (
    SELECT format('relation %s %s%s%s%s%s', name, relkind, CASE WHEN relrowsecurity THEN ' row security' END,
        CASE WHEN relforcerowsecurity THEN ' forced' END, ' ' || reloptions::text, ' ' || pg_get_expr(relpartbound, oid))
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
    LEFT JOIN pg_attrdef d ON a.atthasdef AND d.adrelid = r.oid AND d.adnum = a.attnum
    WHERE r.relkind IN ('r', 'p', 'c')
  UNION ALL
    SELECT format('index %s%s', pg_get_indexdef(i.indexrelid), CASE WHEN NOT i.indisvalid THEN ' invalid' END)
    FROM relations r JOIN pg_index i ON i.indrelid = r.oid
  UNION ALL
    SELECT format('constraint %s on %s: %s%s', quote_ident(c.conname), r.name, pg_get_constraintdef(c.oid),
        CASE WHEN NOT c.convalidated THEN ' (not valid)' END)
    FROM relations r JOIN pg_constraint c ON c.conrelid = r.oid
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
    SELECT format('routine %s(%s) %s %s %s%s%s %s %s %s', quote_ident(p.proname), pg_get_function_arguments(p.oid), p.prokind,
        coalesce(pg_get_function_result(p.oid), ''), p.provolatile, CASE WHEN p.proisstrict THEN ' strict' END,
        CASE WHEN p.prosecdef THEN ' security definer' END, p.proparallel, (SELECT lanname FROM pg_language WHERE oid = p.prolang),
        concat(p.proconfig::text, ' ', coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)))
    FROM things t JOIN pg_proc p ON p.oid = t.objid WHERE t.classid = 'pg_proc'::regclass
  UNION ALL
    SELECT concat_ws(' ', 'type', quote_ident(t.typname), t.typtype,
        CASE WHEN t.typtype = 'd' THEN concat_ws(' ', format_type(t.typbasetype, t.typtypmod),
            CASE WHEN t.typnotnull THEN 'not null' END, 'default ' || t.typdefault,
            (SELECT string_agg(conname || ' ' || pg_get_constraintdef(oid), ', ' ORDER BY conname)
             FROM pg_constraint WHERE contypid = t.oid)) END,
        (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid),
        (SELECT format_type(rngsubtype, NULL) FROM pg_range WHERE rngtypid = t.oid))
    FROM things s JOIN pg_type t ON t.oid = s.objid WHERE s.classid = 'pg_type'::regclass AND t.typtype IN ('e', 'd', 'r')
  UNION ALL
    SELECT format('statistics %s', pg_get_statisticsobjdef(s.oid))
    FROM relations r JOIN pg_statistic_ext s ON s.stxrelid = r.oid
),
alike AS (
    SELECT replace(replace(line, (SELECT nspname FROM home), 'public'), 'public.', '') COLLATE "C" AS line FROM lines
)
