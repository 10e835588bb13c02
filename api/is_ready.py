"""Say whether this container's edge can accept transfers, for its health check: `python -m api.is_ready`."""

import sys
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Final

from shared.settings import ApiSettings, read_settings

ANSWER_SECONDS_MAX: Final = 5.0


def main() -> None:
    """End with 0 if it can, and otherwise with 1 and what it answered."""
    settings = read_settings(ApiSettings)
    # Not urllib, which would ask whatever proxy the environment names.
    connection = HTTPConnection("127.0.0.1", settings.port, timeout=ANSWER_SECONDS_MAX)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
    except (OSError, HTTPException) as error:
        sys.exit(f"The edge does not answer: {type(error).__name__}")
    if answer.status != HTTPStatus.OK:
        sys.exit(body)


if __name__ == "__main__":
    main()
