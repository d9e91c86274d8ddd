"""Columns that change their minds, and rows that come with a migration."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0002"
down_revision = "0001"


def upgrade():
    priority = pg.ENUM("low", "normal", "high", name="priority")
    priority.create(op.get_bind(), checkfirst=False)
    op.add_column(
        "ticket",
        sa.Column("priority", pg.ENUM(name="priority", create_type=False), server_default="normal", nullable=False),
    )
    op.alter_column("account", "email", type_=sa.String(254), existing_type=pg.CITEXT(), existing_nullable=False)
    op.alter_column("account", "display_name", new_column_name="name", server_default="")
    op.alter_column("project", "budget", nullable=False, existing_type=sa.Numeric(12, 2), server_default="0")
    op.alter_column(
        "ticket", "estimate", type_=sa.Integer(), postgresql_using="(extract(epoch FROM estimate) / 3600)::integer"
    )
    with op.batch_alter_table("project") as batch:
        batch.add_column(sa.Column("parent_id", sa.Integer(), nullable=True))
        batch.create_foreign_key("fk_project_parent", "project", ["parent_id"], ["id"])
        batch.create_check_constraint("ck_project_no_own_parent", "parent_id <> id")
        batch.drop_constraint("ck_project_key_upper", type_="check")
    op.create_unique_constraint("uq_project_owner_key", "project", ["owner_id", "key"])
    account = sa.table("account", sa.column("email", sa.String), sa.column("name", sa.String))
    people = {"root@example.com": "Root", "bot@example.com": "O'Bot"}
    op.bulk_insert(account, [{"email": email, "name": name} for email, name in people.items()])
    op.execute("UPDATE account SET roles = ARRAY['admin'] WHERE email = 'root@example.com'")
    op.execute("ALTER TYPE ticket_state RENAME VALUE 'done' TO 'closed'")


def downgrade():
    raise NotImplementedError
