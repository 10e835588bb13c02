"""Run migrations over the connection that `shared/database/migrate.py` hands in."""

from alembic import context

from shared.database.tables import METADATA


def run() -> None:
    """Run what was asked for in one transaction: a migration that fails leaves the schema as it was."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=METADATA,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
