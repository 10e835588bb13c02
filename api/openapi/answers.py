"""Say what every operation answers when all goes well: its shape, a real example, its headers, and where it leads."""

from typing import Final

from api.openapi import of_access, of_transfers, of_wallets, of_webhooks
from api.openapi.answer import Answers, Requests

ANSWERS: Final[Answers] = {
    **of_access.ANSWERS,
    **of_wallets.ANSWERS,
    **of_transfers.ANSWERS,
    **of_webhooks.ANSWERS,
}
"""One that is missing fails tests/unit/test_openapi.py."""

REQUESTS: Final[Requests] = {
    **of_access.REQUESTS,
    **of_wallets.REQUESTS,
    **of_transfers.REQUESTS,
    **of_webhooks.REQUESTS,
}
