"""What PostgreSQL wants outside a transaction, then functions, triggers and a view."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade():
    with op.get_context().autocommit_block():
        op.execute("ALTER TYPE ticket_state ADD VALUE IF NOT EXISTS 'waiting' AFTER 'open'")
        op.create_index("ix_ticket_priority", "ticket", ["priority"], postgresql_concurrently=True, if_not_exists=True)
        op.drop_index("ix_ticket_open", "ticket", postgresql_concurrently=True)
    op.create_table(
        "ticket_event",
        sa.Column("id", sa.BigInteger(), primary_key=True),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("was", sa.JSON()),
    )
    op.execute(
        """
        CREATE OR REPLACE FUNCTION remember_ticket() RETURNS trigger AS $body$
        BEGIN
            INSERT INTO ticket_event (project_id, number, was)
                VALUES (OLD.project_id, OLD.number, to_json(OLD));
            RETURN NEW;
        END;
        $body$ LANGUAGE plpgsql
        """
    )
    op.execute(
        "CREATE TRIGGER ticket_remember AFTER UPDATE OR DELETE ON ticket"
        " FOR EACH ROW EXECUTE FUNCTION remember_ticket()"
    )
    op.execute(
        """
        CREATE VIEW open_tickets AS
            SELECT p.key || '-' || t.number AS name, t.title, a.name AS owner
            FROM ticket t JOIN project p ON p.id = t.project_id LEFT JOIN account a ON a.id = p.owner_id
            WHERE t.state <> 'closed'
        """
    )
    op.rename_table("ticket_label", "label_of_ticket")
    op.drop_column("account", "roles")
