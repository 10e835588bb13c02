"""Fail in every way there is outside of any operation: each time a problem, with all that problems have."""

import socket
from secrets import token_hex
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
import pytest

from api import problems
from shared.domain.errors import RequestRefused
from tests.callers import PROBLEM, PROBLEM_FIELDS, Person, connected, problem_in
from tests.eventually import eventually
from tests.running_system import System
from tests.specification import specification, specified

OPERATIONS: Final = specified(specification())
PATHS: Final = sorted({operation.path for operation in OPERATIONS.values() if "{" not in operation.path})

# Requests that no client of ours would send, and that no route sees.
UNREADABLE: Final = {
    "no HTTP": b"hello\r\n\r\n",
    "an unknown version": b"GET /livez HTTP/9.9\r\nHost: a\r\n\r\n",
    "a control character in a header": b"GET /livez HTTP/1.1\r\nHost: a\r\nX-A: \x1b\r\n\r\n",
    "a header without a name": b"GET /livez HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
    "a length in words": b"POST /v1/token HTTP/1.1\r\nHost: a\r\nContent-Length: ten\r\n\r\n",
    "a length below zero": b"POST /v1/token HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "two lengths": b"POST /v1/token HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunks": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
    "a chunk without a length": b"POST /v1/token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
}


def sent(system: System, request: bytes) -> httpx2.Response:
    """Send bytes as they are, and read what comes back until the other side hangs up."""
    at = urlsplit(system.url)
    with socket.create_connection((at.hostname or "", at.port or 0), timeout=60) as connection:
        connection.sendall(request)
        received = b""
        while part := connection.recv(65_536):
            received += part
    head, _, content = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("ascii").split("\r\n")
    headers = {name: value for name, _, value in (line.partition(": ") for line in lines)}
    return httpx2.Response(int(first.split()[1]), headers=headers, content=content)


class TestAnywhere:
    @pytest.mark.parametrize(
        "path", ["/", "/v1", "/v1/", "/v1/nothing", "/v2/transfers", "/v1/transfers/", "/%00", "/problems/"]
    )
    def test_an_address_that_there_is_not(self, payer: Person, path: str) -> None:
        problem = problem_in(payer.http.get(path), status=404, code="not_found")
        assert problem["instance"].startswith("/")

    @pytest.mark.parametrize("path", PATHS)
    def test_a_method_that_an_address_does_not_take(self, payer: Person, path: str) -> None:
        takes = {operation.method for operation in OPERATIONS.values() if operation.path == path}
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"} - takes:
            answer = payer.http.request(method, path)
            problem_in(answer, status=405, code="method_not_allowed")
            assert set(answer.headers["allow"].split(", ")) - {"HEAD"} == takes
            assert ("HEAD" in answer.headers["allow"]) == ("GET" in takes)

    @pytest.mark.parametrize("path", ["/livez", "/v1/transfers", "/v1/currencies"])
    def test_head_is_get_without_the_body(self, payer: Person, path: str) -> None:
        got, head = payer.http.get(path), payer.http.head(path)
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers["content-length"] == got.headers["content-length"]

    def test_head_of_what_takes_no_get(self, payer: Person) -> None:
        answer = payer.http.head("/v1/token")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")

    @pytest.mark.parametrize(
        ("path", "bytes_max"),
        [("/v1/transfers", 65_536), ("/v1/api-keys", 65_536), ("/v1/transfer-batches", 1_048_576)],
    )
    def test_a_body_that_is_larger_than_an_address_takes(self, payer: Person, path: str, bytes_max: int) -> None:
        headers = {"Content-Type": "application/json", "Idempotency-Key": "large"}
        fits = payer.http.post(path, content=b"{}".ljust(bytes_max), headers=headers)
        problem_in(fits, status=422, code="validation_failed")
        larger = payer.http.post(path, content=b"{}".ljust(bytes_max + 1), headers=headers)
        problem_in(larger, status=413, code="body_too_large")

    @pytest.mark.parametrize("request_bytes", UNREADABLE.values(), ids=UNREADABLE)
    def test_what_cannot_be_read(self, system: System, request_bytes: bytes) -> None:
        answer = sent(system, request_bytes)
        assert (answer.status_code, answer.headers["content-type"]) == (400, PROBLEM), answer.text
        problem: dict[str, Any] = answer.json()
        assert problem.keys() == PROBLEM_FIELDS
        assert (problem["code"], problem["request_id"]) == ("malformed_request", answer.headers["x-request-id"])

    def test_a_caller_who_goes_away_halfway_leaves_no_trace(self, system: System, payer: Person) -> None:
        at, request_id = urlsplit(system.url), token_hex(8)
        head = f"POST /v1/transfers HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {payer.token}\r\n"
        head += f"X-Request-ID: {request_id}\r\n"
        more = "Idempotency-Key: gone\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        with socket.create_connection((at.hostname or "", at.port or 0), timeout=10) as connection:
            connection.sendall((head + more).encode())
        eventually(lambda: payer.http.get("/v1/transfers?idempotency_key=gone").json()["data"] == [])
        lines = [line for line in system.log.read_text().splitlines() if request_id in line]
        assert not [line for line in lines if "request.failed" in line]


class TestPages:
    @pytest.mark.parametrize("kind", RequestRefused.__subclasses__(), ids=lambda kind: kind.__name__)
    def test_there_is_one_for_every_refusal(self, system: System, kind: type[RequestRefused]) -> None:
        self.read(system, problems.code_of(kind))

    @pytest.mark.parametrize("code", [*problems.CODE_BY_STATUS.values(), "validation_failed", "internal_error"])
    def test_there_is_one_for_what_is_refused_beforehand(self, system: System, code: str) -> None:
        self.read(system, code)

    def test_there_is_one_for_every_problem_in_the_specification(self, system: System) -> None:
        spec = specification()
        codes = {
            example["value"]["code"]
            for item in spec["paths"].values()
            for operation in item.values()
            for response in operation["responses"].values()
            for example in response.get("content", {}).get(PROBLEM, {}).get("examples", {}).values()
        }
        assert len(codes) > 15
        for code in codes:
            self.read(system, code)

    def read(self, system: System, code: str) -> None:
        with connected(system, None) as http:
            answer = http.get(f"/problems/{code.replace('_', '-')}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert code.replace("_", " ").capitalize() in answer.text
