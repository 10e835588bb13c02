"""Show what everybody has in the end: balances, one wallet's statement, and what became of a refused transfer."""

from typing import Final

from hishab.answers import Transfer
from hishab.demo.evidence import SUCCEEDED, Evidence
from hishab.demo.payments import NAMES, Payment
from hishab.demo.story import Story, money

STATEMENT_ROWS: Final = 5
BALANCES_A_ROW: Final = 3
SHOWN: Final = 0
"""Whose statement and refused transfer are shown: the first person's."""


def show_balances(seen: Evidence, *, story: Story) -> None:
    """Show what each wallet holds, and their sum."""
    cells = [f"{person.name:<9}{money(seen.wallets[person.number].balance_minor):>12}" for person in seen.people]
    for first in range(0, len(cells), BALANCES_A_ROW):
        story.say("    ".join(cells[first : first + BALANCES_A_ROW]))
    total = sum(wallet.balance_minor for wallet in seen.wallets.values())
    story.say(f"Together {money(total)} taka.")


def show_statement(seen: Evidence, *, story: Story) -> None:
    """Show the newest rows of a wallet's statement."""
    story.say(f"{NAMES[SHOWN]}'s statement, the newest {STATEMENT_ROWS} of {len(seen.statement)} entries:")
    for entry in seen.statement[:STATEMENT_ROWS]:
        amounts = f"{money(entry.amount_minor):>10}{money(entry.balance_after_minor):>12}"
        who = _other(seen.sent.payments.get(entry.transfer_id))
        story.say(f"{entry.number:>5}   {entry.created_at:%H:%M:%S}{amounts}   {who}")


def refused_transfer(seen: Evidence) -> Transfer | None:
    """Return one that was refused to the person shown, if there is one."""
    refused = (one for one in seen.ended.values() if one.status != SUCCEEDED)
    return next((one for one in refused if seen.sent.payments[one.id].payer == SHOWN), None)


def show_refused(seen: Evidence, *, story: Story) -> None:
    """Show what became of a transfer that nobody could have paid."""
    transfer = refused_transfer(seen)
    if transfer is None:
        return
    payment = seen.sent.payments[transfer.id]
    entries = sum(entry.transfer_id == transfer.id for entry in seen.statement)
    story.say(
        f"{NAMES[SHOWN]} asked to send {NAMES[payment.payee]} {money(payment.amount_minor)} taka:",
        f"  it was accepted, and ended as {transfer.status}, {transfer.failure_code}:",
        f"  {transfer.failure_message}",
        f"  Of {NAMES[SHOWN]}'s {len(seen.statement)} entries {entries} are of this transfer.",
    )


def _other(payment: Payment | None) -> str:
    if payment is None:
        return "(the grant)"
    return f"to {NAMES[payment.payee]}" if payment.payer == SHOWN else f"from {NAMES[payment.payer]}"
