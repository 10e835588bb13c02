"""Say where a webhook may be sent as far as the URL itself tells; what it resolves to is checked when connecting."""

from typing import Final

from yarl import URL

URL_LENGTH_MAX: Final = 2_048

_PORTS: Final = frozenset({80, 443})
_PORT_UNPRIVILEGED_MIN: Final = 1_024


def problem(text: str, *, https_only: bool) -> str | None:
    """Say what is wrong with a URL, or return None.

    Read by the parser that the sender dials with: two parsers that disagree are how a URL gets past a check.
    """
    if len(text) > URL_LENGTH_MAX:
        return f"has more than {URL_LENGTH_MAX} characters"
    if not text.isprintable() or " " in text:
        return "has spaces or control characters"
    if "#" in text:
        return "must not have a fragment"
    try:
        return _problem(URL(text), https_only=https_only)
    except ValueError:
        return "is not a URL"


def _problem(url: URL, *, https_only: bool) -> str | None:
    if url.scheme not in ({"https"} if https_only else {"http", "https"}):
        return "must begin with https://" if https_only else "must begin with http:// or https://"
    if not url.host:
        return "has no host"
    if url.user is not None or url.password is not None:
        return "must not carry a user or a password"
    if url.port not in _PORTS and (url.port or 0) < _PORT_UNPRIVILEGED_MIN:
        return "must use port 80, 443, or one from 1024 on"
    return None
