-- TRUNCATE for tables that tenants share: the caller's rows of all the tables go in one statement, so that foreign keys
-- among them are content, and those of other tables object with the words of TRUNCATE. Tables are named without quotes
-- and found as the caller's search_path finds them.
--
-- A client that calls this itself is told so by a message of SQLSTATE SN001, which síndico's gateway takes away
-- together with the tag CALL.
CREATE PROCEDURE sindico.truncate(
    tables pg_catalog.text[], restart_identity pg_catalog.bool, cascade pg_catalog.bool)
LANGUAGE plpgsql SECURITY INVOKER
AS $procedure$
#variable_conflict use_variable
DECLARE
    name pg_catalog.text;
    found pg_catalog.oid;
    kind pg_catalog."char";
    wanted pg_catalog.oid[] := '{}';
    grown pg_catalog.bool;
    referring pg_catalog.record;
    statement pg_catalog.text;
    sequence pg_catalog.text;
    context pg_catalog.text;
BEGIN
    FOREACH name IN ARRAY tables LOOP
        found := pg_catalog.to_regclass(pg_catalog.quote_ident(name));
        IF found IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = '42P01', MESSAGE = pg_catalog.format('relation "%s" does not exist', name);
        END IF;
        SELECT c.relkind INTO kind FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) found;
        IF kind OPERATOR(pg_catalog.<>) ALL ('{r,p}'::pg_catalog."char"[]) THEN
            RAISE EXCEPTION USING ERRCODE = '42809', MESSAGE = pg_catalog.format('"%s" is not a table', name);
        END IF;
        wanted := pg_catalog.array_append(wanted, found);
    END LOOP;

    LOOP
        -- Partitions belong to their table.
        WITH RECURSIVE family (member) AS (
            SELECT pg_catalog.unnest(wanted)
            UNION
            SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN family f ON i.inhparent OPERATOR(pg_catalog.=) f.member
        )
        SELECT pg_catalog.array_agg(f.member) INTO wanted FROM family f;
        grown := false;

        -- As PostgreSQL does: all that refer to these, in the order of their making, before what refers to them in turn.
        FOR referring IN
            SELECT k.conrelid AS child, child.relname AS child_name,
                pg_catalog.min(parent.relname::pg_catalog.text) AS parent_name
            FROM pg_catalog.pg_constraint k
            JOIN pg_catalog.pg_class child ON child.oid OPERATOR(pg_catalog.=) k.conrelid
            JOIN pg_catalog.pg_class parent ON parent.oid OPERATOR(pg_catalog.=) k.confrelid
            WHERE k.contype OPERATOR(pg_catalog.=) 'f' AND k.confrelid OPERATOR(pg_catalog.=) ANY (wanted)
                AND k.conrelid OPERATOR(pg_catalog.<>) ALL (wanted)
            GROUP BY k.conrelid, child.relname
            ORDER BY k.conrelid
        LOOP
            IF NOT cascade THEN
                RAISE EXCEPTION USING ERRCODE = '0A000',
                    MESSAGE = 'cannot truncate a table referenced in a foreign key constraint',
                    DETAIL = pg_catalog.format('Table "%s" references "%s".', referring.child_name, referring.parent_name),
                    HINT = pg_catalog.format('Truncate table "%s" at the same time, or use TRUNCATE ... CASCADE.',
                        referring.child_name);
            END IF;
            RAISE NOTICE USING MESSAGE = pg_catalog.format('truncate cascades to table "%s"', referring.child_name);
            wanted := pg_catalog.array_append(wanted, referring.child);
            grown := true;
        END LOOP;
        EXIT WHEN NOT grown;
    END LOOP;

    -- A partition's rows go with those of its table.
    SELECT pg_catalog.concat('WITH ',
        pg_catalog.string_agg(pg_catalog.format('d%s AS (DELETE FROM %I.%I)', c.oid, n.nspname, c.relname), ', '),
        ' SELECT')
    INTO statement
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
    WHERE c.oid OPERATOR(pg_catalog.=) ANY (wanted)
        AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_inherits i
            WHERE i.inhrelid OPERATOR(pg_catalog.=) c.oid AND i.inhparent OPERATOR(pg_catalog.=) ANY (wanted));
    EXECUTE statement;

    IF restart_identity THEN
        FOR sequence IN
            SELECT owned.sequence_name FROM sindico.owned_sequences owned
            WHERE pg_catalog.to_regclass(pg_catalog.format('public.%I', owned.table_name))
                OPERATOR(pg_catalog.=) ANY (wanted)
        LOOP
            PERFORM sindico.restart_sequence(sequence);
        END LOOP;
    END IF;

    -- One line of context is this very procedure; whoever called it from another function has more.
    GET DIAGNOSTICS context = PG_CONTEXT;
    IF pg_catalog.strpos(context, pg_catalog.chr(10)) OPERATOR(pg_catalog.=) 0 THEN
        RAISE INFO USING ERRCODE = 'SN001', MESSAGE = 'the rows of this tenant were deleted';
    END IF;
END
$procedure$;
