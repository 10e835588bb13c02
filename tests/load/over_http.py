"""Measure what callers see: accepting, single transfers, batches, latency under load and alone (S4-S6, S8, S9)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count, islice
from statistics import median

import psycopg

from tests.load.checker import Sent
from tests.load.edges import PATH
from tests.load.endings import endings_in
from tests.load.figures import percentile
from tests.load.generator import Answer, Job, Server
from tests.load.payments import Payment, payments
from tests.load.stage import Stage, answered
from tests.load.system import EVERYTHING, System, memory_mb

CONNECTIONS = 64
ACCEPTING_CONNECTIONS = (CONNECTIONS, 256)
"""Of S6 and its references, each by itself; the better one counts."""

TRANSFERS = "/v1/transfers"
BATCHES = "/v1/transfer-batches"
BATCH = 1_000
BATCHES_SHOWN = (10, 100)
BATCH_CONNECTIONS = 4
TURNS = 4
"""Of S6 and its references, in a round."""

ACCEPTED_PER_SECOND_MAX = 12_000
"""As many requests are planned: more than the edge answers that does nothing."""

WARM_UP = 200
OPEN_LOOP_SHARE = 0.5
OPEN_LOOP_SHARES_SHOWN = (0.25, 0.75, 0.9)
WAIT_SECONDS = 5

_labels = count(1)

READ_ENDINGS = """
SELECT transfer_id::text, lane, number FROM events WHERE transfer_id = ANY(%s::uuid[]) AND version = 2
"""


def measure_accepting(stage: Stage) -> Mapping[str, float]:
    """S6: single POSTs, while nobody applies them; R4 and R5 in turn with it, within the same seconds.

    R4 is the same app, checking who is calling and what was sent, and doing nothing; R5 a bare Starlette POST; the
    ceiling what the generator reaches where nothing is done at all. Of each the better of 64 and of 256 connections.
    """
    system = stage.system(*EVERYTHING)
    seconds = stage.size.seconds / TURNS
    turns = [
        (connections, _planned(stage, "accept", count_max=int(ACCEPTED_PER_SECOND_MAX * seconds)))
        for _ in range(TURNS)
        for connections in ACCEPTING_CONNECTIONS
    ]
    body = turns[0][1][0].body()
    references = {
        name: _endless_job(server, server.post(PATH, body), seconds=seconds)
        for name, server in (("ceiling", stage.raw), ("R5", stage.bare), ("R4", stage.trivial))
    }
    _warm_up(stage, system)
    for job in references.values():
        answered(stage, replace(job, requests=[*job.requests] * WARM_UP, endless=False))
    stage.settle()
    stage.system("api")
    per_second: dict[tuple[str, int], list[float]] = defaultdict(list)
    with stage.checked(system) as found, endings_in(system.database_url) as endings:
        due = endings.count
        for connections, planned in turns:
            for name, job in references.items():
                asked = replace(job, connections=connections)
                per_second[name, connections].append(_per_second(answered(stage, asked)))
            job = _single_job(system.server, planned, seconds=seconds)
            answers = answered(stage, replace(job, connections=connections))
            per_second["S6", connections].append(_per_second(answers))
            found.sent.extend(_sent(planned, answers))
            due += len(answers)
        stage.system(*EVERYTHING)
        system.wake(1)
        endings.await_count(due)
    medians = {key: median(values) for key, values in per_second.items()}
    return {
        **{name: max(medians[name, n] for n in ACCEPTING_CONNECTIONS) for name in (*references, "S6")},
        **{f"{name}, {connections} connections": value for (name, connections), value in medians.items()},
    }


def measure_singles(stage: Stage) -> Mapping[str, float]:
    """S5: one transfer a request, from the first request to the last ending. S13: what the API holds after it."""
    system = stage.system(*EVERYTHING)
    planned = _planned(stage, "single", count_max=int(ACCEPTED_PER_SECOND_MAX * stage.size.seconds))
    _warm_up(stage, system)
    with stage.checked(system) as found, endings_in(system.database_url) as endings:
        before = endings.count
        answers = answered(stage, _single_job(system.server, planned, seconds=stage.size.seconds))
        found.sent.extend(_sent(planned, answers))
        ended_seconds = endings.await_count(before + len(answers))
    first_seconds = min(answer.sent_seconds for answer in answers)
    return {"S5": len(answers) / (ended_seconds - first_seconds), "S13 api": memory_mb(system.pids["api"])}


def measure_batches(stage: Stage) -> Mapping[str, float]:
    """S4: batches of a thousand; for the plot, once, smaller ones."""
    per_second = _batched_per_second(stage, batch=BATCH)
    if stage.size.plots and stage.round == 1:
        smaller = [(float(batch), _batched_per_second(stage, batch=batch)) for batch in BATCHES_SHOWN]
        stage.points["throughput by batch size"] = [(1.0, stage.latest["S5"]), *smaller, (float(BATCH), per_second)]
    return {"S4": per_second}


def measure_latency(stage: Stage) -> Mapping[str, float]:
    """S8: from the time a request was meant to be sent until its transfer is known to have ended, at half of S5."""
    ended_ms = _latencies_ms(stage, share=OPEN_LOOP_SHARE)
    if stage.size.plots and stage.round == 1:
        points = [_point(stage, share) for share in OPEN_LOOP_SHARES_SHOWN]
        points.append((stage.latest["S5"] * OPEN_LOOP_SHARE, *_shown(ended_ms)))
        stage.points["latency by load"] = sorted(points)
    return {"S8 p50": percentile(ended_ms, 0.5), "S8 p99": percentile(ended_ms, 0.99)}


def measure_lone(stage: Stage) -> Mapping[str, float]:
    """S9: one transfer at a time on an idle system, from its POST until its caller knows how it ended."""
    system = stage.system(*EVERYTHING)
    planned = _planned(stage, "lone", count_max=stage.size.lone)
    _warm_up(stage, system)
    with stage.checked(system) as found, endings_in(system.database_url) as endings:
        before = endings.count
        answers = stage.generate(
            Job(
                server=system.server,
                requests=[
                    system.server.post(TRANSFERS, payment.body(), key=payment.key, prefer=f"wait={WAIT_SECONDS}")
                    for payment in planned
                ],
                until_ended=True,
            )
        )
        refused = [answer for answer in answers if answer.status not in {200, 202}]
        assert not refused, refused[0]
        found.sent.extend(_sent(planned, answers))
        endings.await_count(before + len(answers))
    waited_ms = [1_000 * (answer.answered_seconds - answer.sent_seconds) for answer in answers]
    return {"S9 p50": percentile(waited_ms, 0.5), "S9 p99": percentile(waited_ms, 0.99)}


def _batched_per_second(stage: Stage, *, batch: int) -> float:
    """Send batches, and count from the first request to the last ending."""
    system = stage.system(*EVERYTHING)
    planned = [_planned(stage, f"batch-{batch}", count_max=batch) for _ in range(stage.size.batches)]
    requests = [
        system.server.post(BATCHES, {"transfers": [payment.body() for payment in group]}, key=group[0].key)
        for group in planned
    ]
    _warm_up(stage, system)
    with stage.checked(system) as found, endings_in(system.database_url) as endings:
        before = endings.count
        answers = answered(stage, Job(server=system.server, requests=requests, connections=BATCH_CONNECTIONS))
        for answer in answers:
            ids: Sequence[str] = answer.json()["transfer_ids"]
            times = (answer.sent_seconds, answer.answered_seconds)
            found.sent.extend(
                Sent(payment.key, transfer_id, *times)
                for payment, transfer_id in zip(planned[answer.place], ids, strict=True)
            )
        ended_seconds = endings.await_count(before + batch * len(requests))
    return batch * len(requests) / (ended_seconds - min(answer.sent_seconds for answer in answers))


def _latencies_ms(stage: Stage, *, share: float) -> list[float]:
    system = stage.system(*EVERYTHING)
    per_second = stage.latest["S5"] * share
    planned = _planned(stage, "load", count_max=int(per_second * stage.size.seconds * 2))
    _warm_up(stage, system)
    requests = [system.server.post(TRANSFERS, payment.body(), key=payment.key) for payment in planned]
    job = Job(server=system.server, requests=requests, connections=CONNECTIONS, per_second=per_second)
    with stage.checked(system) as found, endings_in(system.database_url) as endings:
        before = endings.count
        answers = answered(stage, job)
        found.sent.extend(_sent(planned, answers))
        endings.await_count(before + len(answers))
        intended = {answer.json()["id"]: answer.intended_seconds for answer in answers}
        with psycopg.connect(system.database_url) as connection:
            ended = connection.execute(READ_ENDINGS, (list(intended),)).fetchall()
        assert len(ended) == len(intended), f"{len(intended) - len(ended)} of {len(intended)} have not ended"
        return [
            1_000 * (endings.known_seconds(lane=lane, number=number) - intended[transfer_id])
            for transfer_id, lane, number in ended
        ]


def _point(stage: Stage, share: float) -> tuple[float, ...]:
    return (stage.latest["S5"] * share, *_shown(_latencies_ms(stage, share=share)))


def _shown(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(percentile(values, share) for share in (0.5, 0.9, 0.99))


def _endless_job(server: Server, request: bytes, *, seconds: float) -> Job:
    return Job(server=server, requests=[request], connections=CONNECTIONS, seconds_max=seconds, endless=True)


def _single_job(server: Server, planned: Sequence[Payment], *, seconds: float) -> Job:
    requests = [server.post(TRANSFERS, payment.body(), key=payment.key) for payment in planned]
    return Job(server=server, requests=requests, connections=CONNECTIONS, seconds_max=seconds)


def _warm_up(stage: Stage, system: System) -> None:
    """Let a process that has just started meet its first requests, which are slower, before it is measured."""
    planned = _planned(stage, "warm-up", count_max=WARM_UP)
    with endings_in(system.database_url) as endings:
        before = endings.count
        answers = answered(stage, _single_job(system.server, planned, seconds=60))
        endings.await_count(before + len(answers))


def _planned(stage: Stage, label: str, *, count_max: int) -> list[Payment]:
    return list(islice(payments(stage.wallets, label=f"{label}-{next(_labels)}"), count_max))


def _sent(planned: Sequence[Payment], answers: Sequence[Answer]) -> list[Sent]:
    return [
        Sent(planned[answer.place].key, answer.json()["id"], answer.sent_seconds, answer.answered_seconds)
        for answer in answers
    ]


def _per_second(answers: Sequence[Answer]) -> float:
    first_seconds = min(answer.sent_seconds for answer in answers)
    return len(answers) / (max(answer.answered_seconds for answer in answers) - first_seconds)
