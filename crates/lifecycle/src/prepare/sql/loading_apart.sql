-- Where tenants share a database, each sees its own sessions. Elsewhere nobody else's are there, and pg_dump, which
-- insists on reading tables whole, would fail at a policy.
ALTER TABLE sindico.loading ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON sindico.loading FOR SELECT
    USING (role OPERATOR(pg_catalog.=) session_user AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid());
