"""Tables with enums, arrays, server defaults and named constraints."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0001"
down_revision = None


def upgrade():
    op.execute('CREATE EXTENSION IF NOT EXISTS "uuid-ossp"')
    op.execute("CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA public")
    op.create_table(
        "account",
        sa.Column("id", pg.UUID(), server_default=sa.text("uuid_generate_v4()"), nullable=False),
        sa.Column("email", pg.CITEXT(), nullable=False),
        sa.Column("display_name", sa.Unicode(120), nullable=False),
        sa.Column("roles", pg.ARRAY(sa.String(20)), server_default="{}", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
        sa.UniqueConstraint("email", name="uq_account_email"),
    )
    op.create_table(
        "project",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("owner_id", pg.UUID(), nullable=True),
        sa.Column("key", sa.String(10), nullable=False),
        sa.Column("visibility", sa.Enum("private", "internal", "public", name="visibility"), nullable=False),
        sa.Column("settings", pg.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("budget", sa.Numeric(12, 2)),
        sa.CheckConstraint("key = upper(key)", name="ck_project_key_upper"),
        sa.CheckConstraint("budget IS NULL OR budget >= 0"),
        sa.ForeignKeyConstraint(["owner_id"], ["account.id"], name="fk_project_owner", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
        comment="What people work on",
    )
    op.create_index("ix_project_key", "project", ["key"], unique=True)
    op.create_table(
        "ticket",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True, start=1000), nullable=False, unique=True),
        sa.Column("title", sa.Text(), nullable=False, comment="One line"),
        sa.Column("state", sa.Enum("open", "done", name="ticket_state"), server_default="open", nullable=False),
        sa.Column("search", pg.TSVECTOR(), sa.Computed("to_tsvector('english', title)", persisted=True)),
        sa.Column("estimate", pg.INTERVAL()),
        sa.Column("open_during", pg.TSTZRANGE()),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], onupdate="CASCADE", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project_id", "number"),
    )
    op.create_index("ix_ticket_search", "ticket", ["search"], postgresql_using="gin")
    op.create_index(
        "ix_ticket_open", "ticket", [sa.text("lower(title)")], postgresql_where=sa.text("state = 'open'")
    )
    op.create_table(
        "ticket_label",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("label", sa.String(30), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "number"], ["ticket.project_id", "ticket.number"], deferrable=True, initially="DEFERRED"
        ),
        sa.PrimaryKeyConstraint("project_id", "number", "label"),
    )
