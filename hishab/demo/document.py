"""Write down for programs what the demo saw."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from hishab.demo.evidence import Evidence, Finding
from hishab.demo.payments import CURRENCY, NAMES
from hishab.demo.pictures import SHOWN, STATEMENT_ROWS, refused_transfer


def document(seen: Evidence, *, found: Sequence[Finding], seconds: float) -> dict[str, Any]:
    """Return the whole as what JSON can say: amounts in minor units, durations in seconds."""
    refused = refused_transfer(seen)
    return {
        "holds": all(finding.holds for finding in found),
        "findings": [{"holds": finding.holds, "text": " ".join(finding.lines)} for finding in found],
        "seconds": round(seconds, 1),
        "currency": CURRENCY,
        "transfers": {
            "accepted": len(seen.sent.payments),
            "ended": len(seen.ended),
            "succeeded": seen.succeeded,
            "refused": seen.refused,
            "sent_again": seen.sent.again,
            "recognised": seen.sent.recognised,
        },
        "kill": asdict(seen.outage),
        "events": asdict(seen.events),
        "balances": {person.name: seen.wallets[person.number].balance_minor for person in seen.people},
        "statement": {
            "name": NAMES[SHOWN],
            "entries": len(seen.statement),
            "newest": [entry.model_dump(mode="json", by_alias=True) for entry in seen.statement[:STATEMENT_ROWS]],
        },
        "refused_transfer": refused.model_dump(mode="json", by_alias=True) if refused else None,
        "audit": seen.audit.model_dump(mode="json", by_alias=True),
    }
