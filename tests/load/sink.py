"""Take webhooks as fast as one process can, and say 200 to each: `python -m tests.load.sink` prints its port."""

import asyncio
import sys
from typing import Final, cast

import uvloop

ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"
END_OF_HEADERS: Final = b"\r\n\r\n"
LENGTH: Final = b"content-length: "


class Sink(asyncio.Protocol):
    """One connection. Reads no more of a request than where it ends."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is one in all but name.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._received += data
        while (end := self._request_end()) is not None:
            self._received = self._received[end:]
            self._transport.write(ANSWER)

    def _request_end(self) -> int | None:
        headers_end = self._received.find(END_OF_HEADERS)
        if headers_end < 0:
            return None
        headers = self._received[:headers_end].lower()
        _, _, rest = headers.partition(LENGTH)
        end = headers_end + len(END_OF_HEADERS) + int(rest.partition(b"\r\n")[0] or 0)
        return end if len(self._received) >= end else None


async def main() -> None:
    """Listen on a free port of loopback, until killed."""
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0, backlog=1_024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
