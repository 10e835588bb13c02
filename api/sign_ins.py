"""Hold each address to so many sign-ups and log-ins a minute, whoever they are for."""

import ipaddress
import math
from typing import Final

from fastapi import Request

from api.parts import Parts
from shared import clock
from shared.domain.errors import TooManyAttempts

WINDOW_SECONDS: Final = 60

IPV6_NETWORK_BITS: Final = 64
"""What one subscriber has of IPv6: whoever changes the address within it is still the same."""


def admit(request: Request, *, parts: Parts) -> None:
    """Count a sign-up or a log-in.

    Raises:
        TooManyAttempts: There were too many from this address.
    """
    host = request.client.host if request.client else ""
    left, reset_seconds = parts.address_quotas.take(_network(host), now_seconds=clock.monotonic_seconds())
    if left < 0:
        raise TooManyAttempts(math.ceil(reset_seconds))


def _network(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # A proxy may say anything, or a Unix socket nothing.
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), IPV6_NETWORK_BITS), strict=False))
