"""Send transfers from a process of its own, all at the same moment: `python -m tests.journeys.debiting_process`.

Reads what to do from the first line of its input, says `ready` once every connection is open, waits for another line,
and prints the status and the id that each transfer was answered with. The standard library alone, to start fast.
"""

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any

ANSWER_SECONDS_MAX = 60.0


def main() -> None:
    """Do what the first line of the input says."""
    task: dict[str, Any] = json.loads(sys.stdin.readline())
    address = task["url"].removeprefix("http://")
    keys: list[str] = task["keys"]
    everybody_is_ready = threading.Barrier(len(keys) + 1)
    go = threading.Event()

    def send(key: str) -> tuple[int, str]:
        connection = HTTPConnection(address, timeout=ANSWER_SECONDS_MAX)
        connection.connect()
        headers = {**task["headers"], "Content-Type": "application/json", "Idempotency-Key": key}
        everybody_is_ready.wait()
        go.wait()
        connection.request("POST", "/v1/transfers", body=json.dumps(task["body"]), headers=headers)
        answer = connection.getresponse()
        transfer = json.loads(answer.read())
        connection.close()
        return answer.status, transfer.get("id", "")

    with ThreadPoolExecutor(len(keys)) as threads:
        sent = threads.map(send, keys)
        everybody_is_ready.wait()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        go.set()
        sys.stdout.write(json.dumps(list(sent)))


if __name__ == "__main__":
    main()
