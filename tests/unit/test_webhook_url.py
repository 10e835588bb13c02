"""Which URLs may be registered?"""

import pytest

from shared.domain.webhook_url import problem


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com/hooks?tenant=5",
        "https://example.com:8443/hooks",
        "https://example.com:80/",
        "https://bücher.example/hooks",
        "https://[2001:4860::1]/hooks",
        "https://example.com/" + "x" * 2_028,
    ],
)
def test_allows(url: str) -> None:
    assert problem(url, https_only=True) is None


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://example.com/", "https"),
        ("ftp://example.com/", "https"),
        ("//example.com/", "https"),
        ("example.com", "https"),
        ("", "https"),
        ("https://", "host"),
        ("https:///path", "host"),
        ("https://user@example.com/", "user"),
        ("https://:word@example.com/", "user"),
        ("https://example.com/#part", "fragment"),
        ("https://example.com/#", "fragment"),
        ("https://example.com:22/", "port"),
        ("https://example.com:0/", "port"),
        ("https://example.com:1023/", "port"),
        ("https://example.com:65536/", "not a URL"),
        ("https://example.com:x/", "not a URL"),
        ("https://[::1/", "not a URL"),
        ("https://example.com/ x", "spaces"),
        ("https://example.com/\r\nX-Other: 1", "control"),
        ("https://example.com/" + "x" * 2_029, "characters"),
    ],
)
def test_refuses(url: str, says: str) -> None:
    assert says in (problem(url, https_only=True) or "")


def test_allows_http_only_where_that_was_set() -> None:
    assert problem("http://example.com/", https_only=False) is None
    assert problem("ftp://example.com/", https_only=False) is not None
