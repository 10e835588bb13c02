"""Tell browsers what not to do with our answers: guess types, show them in frames, keep them, run what is in them."""

from collections.abc import Iterable, Iterator
from typing import Final

Header = tuple[bytes, bytes]

ON_EVERY_ANSWER: Final[tuple[Header, ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)

# JSON runs nothing and loads nothing.
POLICY_FOR_DATA: Final[Header] = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")

# /docs and /redoc come with scripts and styles of their own, some of them inline.
POLICY_FOR_PAGES: Final[Header] = (
    b"content-security-policy",
    (
        b"default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        b"img-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'none'"
    ),
)

NOT_KEPT: Final[Header] = (b"cache-control", b"no-store")
PRIVATE_PATHS: Final = "/v1/"


def security_headers(headers: Iterable[Header], *, path: str) -> Iterator[Header]:
    """Give what an answer lacks. One that says itself how long it may be kept is left to it; others are not kept."""
    given = dict(headers)
    yield from ON_EVERY_ANSWER
    is_page = given.get(b"content-type", b"").startswith(b"text/html")
    yield POLICY_FOR_PAGES if is_page else POLICY_FOR_DATA
    if path.startswith(PRIVATE_PATHS) and b"cache-control" not in given:
        yield NOT_KEPT
