"""What callers import: `from hishab import Client`. Everything else in here may change at any time.

Names are looked up when they are asked for, so that the commands, which import this too, start without what they do not
use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hishab.answers import Batch, Entry, Event, Failure, Page, ProblemPart, StandingBatch, Transfer, Wallet
    from hishab.blocking import Blocking
    from hishab.client import Acceptance, BatchAcceptance, Client, new_idempotency_key
    from hishab.errors import (
        DeniedError,
        HishabError,
        NotFinalError,
        RefusedError,
        UnavailableError,
        UnexpectedAnswerError,
        UntrustedWebhookError,
    )
    from hishab.new_transfer import NewTransfer
    from hishab.webhooks import verify_webhook

__all__ = [
    "Acceptance",
    "Batch",
    "BatchAcceptance",
    "Blocking",
    "Client",
    "DeniedError",
    "Entry",
    "Event",
    "Failure",
    "HishabError",
    "NewTransfer",
    "NotFinalError",
    "Page",
    "ProblemPart",
    "RefusedError",
    "StandingBatch",
    "Transfer",
    "UnavailableError",
    "UnexpectedAnswerError",
    "UntrustedWebhookError",
    "Wallet",
    "new_idempotency_key",
    "verify_webhook",
]

_MODULES = (
    "hishab.client",
    "hishab.answers",
    "hishab.errors",
    "hishab.new_transfer",
    "hishab.blocking",
    "hishab.webhooks",
)

# A type checker that saw this would take any name for one of ours.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name in __all__:
            for module in map(import_module, _MODULES):
                if hasattr(module, name):
                    return getattr(module, name)
        raise AttributeError(f"module 'hishab' has no attribute {name!r}")
