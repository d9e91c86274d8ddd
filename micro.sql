CREATE OR REPLACE FUNCTION t(q text) RETURNS void LANGUAGE plpgsql AS $f$ DECLARE a timestamptz; BEGIN
EXECUTE format('CREATE OR REPLACE FUNCTION m() RETURNS void SECURITY DEFINER LANGUAGE plpgsql AS $x$ DECLARE token text := ''0192f0c123457abc8def0123456789ab.1.1700000000abcdef.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa''; i1 bytea; i2 bytea; w bool; done text; tenant text := left(token,32); held int8 := hashtextextended(tenant,0); BEGIN SELECT inner_block, outer_block INTO i1,i2 FROM sindico_secret.token_key; FOR i IN 1..20000 LOOP %s END LOOP; END $x$', q);
PERFORM m(); a := clock_timestamp(); PERFORM m();
RAISE NOTICE '% us: %', round((extract(epoch from clock_timestamp()-a)*1e6/20000)::numeric,2), q; END $f$;
SELECT t($q$$q$);
SELECT t($q$w := EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = concat('t_', tenant)::name AND r.rolcanlogin);$q$);
SELECT t($q$w := EXISTS (SELECT FROM pg_catalog.pg_authid r WHERE r.rolname = concat('t_', tenant)::name AND r.rolcanlogin);$q$);
SELECT t($q$SELECT k.inner_block, k.outer_block, r.rolcanlogin INTO i1, i2, w FROM sindico_secret.token_key k LEFT JOIN pg_catalog.pg_authid r ON r.rolname = concat('t_', tenant)::name;$q$);
SELECT t($q$w := pg_catalog.sha256('a') = 'b';$q$);
SELECT t($q$w := pg_catalog.right(token, 64) = pg_catalog.encode(pg_catalog.sha256(i2 || pg_catalog.sha256(i1 || pg_catalog.convert_to(pg_catalog.left(token, -65), 'UTF8'))), 'hex');$q$);
SELECT t($q$done := pg_catalog.set_config('backtrace_functions', concat('t_', tenant), false);$q$);
SELECT t($q$w := pg_catalog.left(pg_catalog.split_part(token, '.', 3), 10)::float8 + 1e12 > date_part('epoch', transaction_timestamp());$q$);
SELECT t($q$w := split_part(token, '.', 2) = pg_backend_pid()::text;$q$);
SELECT t($q$w := sindico.enter(token, false);$q$);
SELECT t($q$w := sindico.enter2(token, false);$q$);
