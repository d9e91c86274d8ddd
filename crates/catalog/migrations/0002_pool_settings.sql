-- What a tenant has instead of what the configuration gives to all; NULL is what the configuration gives.
ALTER TABLE sindico.tenants
    ADD COLUMN pool_mode text CHECK (pool_mode IN ('transaction', 'session')),
    ADD COLUMN pooling text CHECK (pooling IN ('own', 'dense')),
    ADD COLUMN max_server_connections integer CHECK (max_server_connections > 0),
    ADD COLUMN max_clients integer CHECK (max_clients > 0);
