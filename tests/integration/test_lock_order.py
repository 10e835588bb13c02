"""Do those who lock the same rows lock them in the same order, so that none of them is a deadlock's victim?"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from shared.database.connections import AUDIT, connect
from shared.database.endpoint_health import take_number
from shared.domain.owner import OPERATORS_OWNER_ID
from tests.edge_process import edge_process
from tests.eventually import eventually
from tests.ledger import Ledger
from tests.webhook_worker import owing

WAITING = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid')"


def test_a_ping_waits_for_whoever_gives_its_endpoint_up(ledger: Ledger, tmp_path: Path) -> None:
    """The worker locks the endpoint and then lane 0, to tell of it."""
    with owing(ledger.database_url) as books:
        endpoint_id = books.endpoint("http://127.0.0.1:1025/", owner_id=OPERATORS_OWNER_ID)
    ledger.connection.execute("UPDATE webhook_endpoints SET failures = 9, failing_since = now(), next_probe_at = now()")
    with (
        edge_process(ledger, tmp_path) as edge,
        ThreadPoolExecutor(1) as threads,
        connect(ledger.database_url, application_name="test", timeouts=AUDIT) as worker,
    ):
        with worker.transaction():
            worker.execute("UPDATE webhook_endpoints SET failures = failures + 1 WHERE id = %s", (endpoint_id,))
            answer = threads.submit(edge.http.post, f"/v1/webhook-endpoints/{endpoint_id}/test")
            eventually(lambda: ledger.value(WAITING))
            worker.execute("SET LOCAL lock_timeout = '1s'")
            take_number(worker)
        assert answer.result().status_code == 202
