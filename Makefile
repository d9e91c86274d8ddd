# Two targets matter: `make up` runs síndico with a sample app, `make test` proves that it works.
# Both install what is missing on Debian first, and say what.

ARGS ?=
TARGET ?= plan
SECONDS ?= 600
export SQLX_OFFLINE = true

.PHONY: up build test test-18 frameworks check-drivers fuzz bench-gateway bench-gateway-idle bench-gateway-fairness bench-gateway-scale \
	bench-gateway-tenants bench-gateway-tools bench-migrations bench-backups bench-creation check-failing-migration check prepare tools drivers-tools

up: build
	target/release/sindico up $(ARGS)

build: tools
	cargo build --release --locked --package server

test: tools drivers-tools
	cargo build --locked --package devdb
	target/debug/devdb run -- scripts/run-tests

# The same tests on PostgreSQL 18, which comes from the npm registry (needs node and npm).
test-18:
	PATH="$$(scripts/postgresql-18):$$PATH" $(MAKE) test

# What Django, Alembic, Drizzle, knex and pg_dump write, in every isolation (needs python3, node, npm and their registries).
frameworks: tools
	cargo build --locked --package devdb --package server
	target/debug/devdb run --clusters 1 -- scripts/check-frameworks $(ARGS)

# Drivers' own test suites, on a bare PostgreSQL and through the gateway (needs python3, cargo, the registries and Debian's
# sources; too long for CI). ARGS picks suites: asyncpg, tokio-postgres …
check-drivers: tools
	cargo build --locked --package devdb --package server
	target/debug/devdb run --clusters 1 -- scripts/check-drivers $(ARGS)

# Throws made-up migrations (TARGET=plan) or client statements (TARGET=client) at tenantize, or sessions at the gateway
# (TARGET=relay); needs nightly Rust and cargo-fuzz.
# The parser measures its stack by the address of a local, which the sanitizer's fake stack would put on the heap.
# What it learns stays in target.
fuzz:
	mkdir -p fuzz/target/corpus/$(TARGET)
	ASAN_OPTIONS=detect_stack_use_after_return=0 \
		cargo +nightly fuzz run $(TARGET) fuzz/target/corpus/$(TARGET) fuzz/corpus/$(TARGET) -- -dict=fuzz/sql.dict -max_total_time=$(SECONDS)

# With SOCKETS=FOLDER, síndico and PgBouncer reach the server at its Unix socket there.
AT_SOCKETS = $(if $(SOCKETS),--set unix_socket_directories=$(SOCKETS))
OVER_SOCKETS = $(if $(SOCKETS),--sockets $(SOCKETS))

# The gateway beside a bare connection and PgBouncer, in one run (needs pgbench, python3 and, to compare, pgbouncer).
bench-gateway: bench-gateway-tools
	target/debug/devdb run --clusters 1 $(AT_SOCKETS) -- bench/gateway/speed $(OVER_SOCKETS) $(ARGS)

# Memory of clients that do nothing.
bench-gateway-idle: bench-gateway-tools
	target/debug/devdb run --clusters 1 -- bench/gateway/idle $(ARGS)

# What one tenant's crowd costs another tenant (needs pgbench and python3).
bench-gateway-fairness: bench-gateway-tools
	target/debug/devdb run --clusters 1 -- bench/gateway/fairness $(ARGS)

# A thousand tenants on a hundred server connections, beside PgBouncer. A connection of PostgreSQL holds a few MiB.
bench-gateway-scale: bench-gateway-tools
	target/debug/devdb run --clusters 1 --set max_connections=1200 $(AT_SOCKETS) -- bench/gateway/scale $(OVER_SOCKETS) $(ARGS)

# Throughput and memory against the number of tenants.
bench-gateway-tenants: bench-gateway-tools
	target/debug/devdb run --clusters 1 -- bench/gateway/tenants $(ARGS)

bench-migrations: build
	cargo build --locked --package devdb
	target/debug/devdb run --clusters 1 -- bench/lifecycle/migrations $(ARGS)

# Making a tenant in each isolation beside the raw statements.
bench-creation: build
	cargo build --locked --package devdb
	target/debug/devdb run --clusters 1 -- bench/lifecycle/creation $(ARGS)

# A migration that fails on one of a thousand tenants while clients of others work.
check-failing-migration: build
	cargo build --locked --package devdb
	target/debug/devdb run --clusters 1 --set max_connections=200 -- bench/lifecycle/failing $(ARGS)

# A tenant's backup and restore beside pg_dump and pg_restore.
bench-backups: build
	cargo build --locked --package devdb
	target/debug/devdb run --clusters 1 -- bench/lifecycle/backups $(ARGS)

bench-gateway-tools: build
	cargo build --locked --package devdb
	cargo build --release --locked --package wire --example load

check: tools
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- --deny warnings

# Renews what checked queries know of the control database, after a change of its migrations or of a query.
prepare: tools
	cargo build --package devdb
	SQLX_OFFLINE=false target/debug/devdb run --clusters 1 -- scripts/prepare-queries

tools:
	@scripts/install-tools

# Clients in other languages, which the tests run (from Debian, PyPI and npm).
drivers-tools:
	@scripts/install-drivers
