"""Serve what our edge is compared with: `python -m tests.load.edges trivial | bare | raw --port N`.

`trivial` (R4) is our own app with one more operation, which checks who is calling and what was sent, and touches
nothing. `bare` (R5) is a Starlette app that does the least a POST of JSON can do. `raw` answers without reading what
was sent: it shows what the load generator can do, and receives webhooks.
"""

import argparse
import asyncio
from collections.abc import Callable, Mapping
from typing import Annotated, cast

import uvicorn
import uvloop
from fastapi import APIRouter, Response
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from api.body_limit import BodyLimit
from api.caller import Caller, needs
from api.direct import Direct, DirectRoute
from api.main import BODY_BYTES_MAX, make_app, wait_for_database
from api.request_id import RequestIds
from api.transfers.schemas import NewTransfer
from hishab.ports import LOOPBACK
from shared.domain.scope import TRANSFERS_WRITE
from shared.settings import ApiSettings, read_settings
from tests.load.generator import END_OF_HEAD, LENGTH

PATH = "/v1/trivial"
ANSWER = b'{"id":"00000000-0000-0000-0000-000000000000","status":"queued"}'
RAW_ANSWER = b"HTTP/1.1 202 Accepted\r\nContent-Length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER)

router = APIRouter(route_class=DirectRoute)


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("edge", choices=["trivial", "bare", "raw"])
    parser.add_argument("--port", type=int, required=True)
    asked = parser.parse_args()
    servers: Mapping[str, Callable[[int], None]] = {
        "trivial": lambda port: _serve(_trivial(), port=port),
        "bare": lambda port: _serve(Starlette(routes=[Route(PATH, _bare, methods=["POST"])]), port=port),
        "raw": lambda port: uvloop.run(_serve_raw(port)),
    }
    servers[asked.edge](asked.port)


def _serve(app: ASGIApp, *, port: int) -> None:
    # As api.main does.
    uvicorn.run(app, host=LOOPBACK, port=port, log_config=None, access_log=False, server_header=False)


def _trivial() -> ASGIApp:
    settings = read_settings(ApiSettings)
    app = make_app(settings, lane_count=wait_for_database(settings))
    # As api.main.make_edge puts around it, and by the same short way as POST /v1/transfers.
    return RequestIds(BodyLimit(Direct(app, routers=[router]), bytes_max=BODY_BYTES_MAX, larger={}))


@router.post(PATH, status_code=202)
async def post_trivial(asked: NewTransfer, caller: Annotated[Caller, needs(TRANSFERS_WRITE)]) -> Response:
    """Check who is calling and what was sent, as `POST /v1/transfers` does, and do nothing."""
    del asked, caller
    return Response(ANSWER, status_code=202, media_type="application/json")


async def _bare(request: Request) -> JSONResponse:
    await request.json()
    return JSONResponse({"status": "queued"}, status_code=202)


async def _serve_raw(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Raw, LOOPBACK, port)
    await server.serve_forever()


class _Raw(asyncio.Protocol):
    """Answers every request alike as soon as it is whole."""

    def __init__(self) -> None:
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are none by their class.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while True:
            head, end, rest = self._received.partition(END_OF_HEAD)
            length = LENGTH.search(head)
            bytes_due = int(length[1]) if length else 0
            if not end or len(rest) < bytes_due:
                return
            self._received = rest[bytes_due:]
            assert self._transport is not None, "not connected"
            self._transport.write(RAW_ANSWER)


if __name__ == "__main__":
    main()
