# Two targets matter: `make up` runs síndico with a sample app, `make test` proves that it works.
# Both install what is missing on Debian first, and say what.

ARGS ?=
export SQLX_OFFLINE = true

.PHONY: up build test test-18 frameworks check prepare tools

up: build
	target/release/sindico up $(ARGS)

build: tools
	cargo build --release --locked --package server

test: tools
	cargo build --locked --package devdb
	target/debug/devdb run -- scripts/run-tests

# The same tests on PostgreSQL 18, which comes from the npm registry (needs node and npm).
test-18:
	PATH="$$(scripts/postgresql-18):$$PATH" $(MAKE) test

# What Django, Alembic, Drizzle, knex and pg_dump write, in every isolation (needs python3, node, npm and their registries).
frameworks: tools
	cargo build --locked --package devdb --package server
	target/debug/devdb run --clusters 1 -- scripts/check-frameworks $(ARGS)

check: tools
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- --deny warnings

# Renews what checked queries know of the control database, after a change of its migrations or of a query.
prepare: tools
	cargo build --package devdb
	SQLX_OFFLINE=false target/debug/devdb run --clusters 1 -- scripts/prepare-queries

tools:
	@scripts/install-tools
