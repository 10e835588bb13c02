"""Say what a transfer is to be, before it is sent."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTransfer:
    """A transfer to ask for. Name its destination by wallet or by email.

    Attributes:
        amount_minor: In the smallest unit of the currency: 12550 are 125.50 taka.
        source_wallet_id: Your wallet in the currency, unless you name another.
        reference: Up to 64 characters that both sides see, and by which you can find it.
        note: Up to 140 characters that both sides see.
        metadata: Up to 16 pairs that you alone see.
    """

    amount_minor: int
    currency: str
    destination_wallet_id: str | None = None
    destination_email: str | None = None
    source_wallet_id: str | None = None
    reference: str | None = None
    note: str | None = None
    metadata: Mapping[str, str] | None = None

    def body(self) -> dict[str, object]:
        """Return what goes over the wire: the same fields each time, or a repetition would be another request."""
        fields = {
            "source_wallet_id": self.source_wallet_id,
            "destination_wallet_id": self.destination_wallet_id,
            "destination_email": self.destination_email,
            "amount": self.amount_minor,
            "currency": self.currency,
            "reference": self.reference,
            "note": self.note,
            "metadata": dict(self.metadata) if self.metadata is not None else None,
        }
        return {name: value for name, value in fields.items() if value is not None}
