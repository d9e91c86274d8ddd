CREATE TYPE user_role AS ENUM ('manager', 'viewer');

-- The last two digits check the others (Receita Federal, modulo 11).
CREATE FUNCTION cnpj_is_valid(cnpj text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
DECLARE
    weights CONSTANT integer[] := ARRAY[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2];
    total integer;
    expected integer;
BEGIN
    IF cnpj !~ '^[0-9]{14}$' THEN
        RETURN false;
    END IF;
    FOR digits IN 12..13 LOOP
        total := 0;
        FOR place IN 1..digits LOOP
            total := total + substr(cnpj, place, 1)::integer * weights[place + 13 - digits];
        END LOOP;
        expected := CASE WHEN total % 11 < 2 THEN 0 ELSE 11 - total % 11 END;
        IF substr(cnpj, digits + 1, 1)::integer <> expected THEN
            RETURN false;
        END IF;
    END LOOP;
    RETURN true;
END
$$;

CREATE DOMAIN cnpj AS text CONSTRAINT cnpj_check_digits CHECK (cnpj_is_valid(VALUE));

CREATE FUNCTION set_updated_at() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END
$$;

-- The city hall that this installation serves: one row.
CREATE TABLE city (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    name text NOT NULL CHECK (btrim(name) <> ''),
    state char(2) NOT NULL CHECK (state ~ '^[A-Z]{2}$'),
    cnpj cnpj NOT NULL,
    plan_code text NOT NULL DEFAULT 'basic' REFERENCES plans,
    settings jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(settings) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TRIGGER city_updated BEFORE UPDATE ON city FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TABLE users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    email citext NOT NULL UNIQUE,
    name text NOT NULL,
    role user_role NOT NULL DEFAULT 'viewer',
    password_hash text,
    permissions text[] NOT NULL DEFAULT '{}',
    active boolean NOT NULL DEFAULT true,
    last_login_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT users_email_form CHECK (email ~ '^[^@[:space:]]+@[^@[:space:]]+$')
);

CREATE TRIGGER users_updated BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- A city has one manager at a time.
CREATE UNIQUE INDEX users_one_manager ON users (role) WHERE role = 'manager' AND active;
