"""The command line: one command a module of `hishab.commands`."""

from typing import Annotated, Final

import typer

from hishab.commands import audit, demo, lanes, listen, submit, transfers, up, version, wallets, webhooks

app: Final = typer.Typer(
    name="hishab",
    help="Hishab moves money between wallets, asynchronously and exactly once.",
    no_args_is_help=True,
)


def _show_version(*, wanted: bool) -> None:
    if wanted:
        version.run()
        raise typer.Exit


@app.callback()
def before(
    *,
    _: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show versions.")] = False,
) -> None:
    """Hishab moves money between wallets, asynchronously and exactly once.

    Example: hishab demo
    """


app.command("demo")(demo.run)
app.command("up")(up.run)
app.command("wallets")(wallets.run)
app.command("submit")(submit.run)
app.command("audit")(audit.run)
app.command("listen")(listen.run)
app.add_typer(transfers.app, name="transfers")
app.add_typer(lanes.app, name="lanes")
app.add_typer(webhooks.app, name="webhooks")
app.command("version")(version.run)
