"""The command line: one command a module of `hishab.commands`."""

from typing import Final

import typer

from hishab.commands import audit, demo, lanes, listen, submit, transfers, up, wallets, webhooks

app: Final = typer.Typer(
    name="hishab",
    help="Hishab moves money between wallets, asynchronously and exactly once.",
    no_args_is_help=True,
    add_completion=False,
)
app.command("demo")(demo.run)
app.command("up")(up.run)
app.command("wallets")(wallets.run)
app.command("submit")(submit.run)
app.command("audit")(audit.run)
app.command("listen")(listen.run)
app.add_typer(transfers.app, name="transfers")
app.add_typer(lanes.app, name="lanes")
app.add_typer(webhooks.app, name="webhooks")


def main() -> None:
    """Run the command that was asked for."""
    app()
