"""Turn what PostgreSQL says of the system into metrics: the same from every process of the edge."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import accumulate

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric

from api.looks import Look
from shared.database.health import LaneState, Seen
from shared.domain.histogram import ENDING_BOUNDS_SECONDS


def collect(found: Look) -> Iterator[Metric]:
    """Name every metric, also those that nothing is known of at this moment."""
    answers = GaugeMetricFamily("hishab_database_up", "Whether PostgreSQL answered, with the schema of this version.")
    answers.add_metric([], found.seen is not None)
    yield answers
    yield from _lanes(found.seen.lanes if found.seen else [])
    yield _ending_seconds(found.seen.lanes if found.seen else [])
    yield from _deliveries(found.seen)
    yield from _trouble(found.seen)


def buckets(counts: Sequence[int], *, bounds: Sequence[float]) -> list[tuple[str, float]]:
    """Spell counts as Prometheus has them: each with all below it."""
    counts = [*counts, *[0] * (len(bounds) + 1 - len(counts))]
    names = [*(str(float(bound)) for bound in bounds), "+Inf"]
    return list(zip(names, accumulate(counts), strict=True))


def _lanes(lanes: Sequence[LaneState]) -> Iterator[Metric]:
    queued = GaugeMetricFamily(
        "hishab_lane_queued_transfers",
        "Transfers waiting in the lane: exact up to 10,000, beyond that at most so many.",
        labels=["lane"],
    )
    oldest = GaugeMetricFamily(
        "hishab_lane_oldest_queued_seconds",
        "How long the head of the lane has waited; 0 if none waits.",
        labels=["lane"],
    )
    stopped = GaugeMetricFamily("hishab_lane_stopped", "Whether the lane was stopped by a defect.", labels=["lane"])
    careful = GaugeMetricFamily(
        "hishab_lane_careful_transfers_left",
        "Transfers that are still applied one by one because a worker died.",
        labels=["lane"],
    )
    applied = GaugeMetricFamily(
        "hishab_lane_last_applied_timestamp_seconds", "When the lane last applied anything.", labels=["lane"]
    )
    for lane in lanes:
        label = [str(lane.lane)]
        queued.add_metric(label, lane.queued)
        oldest.add_metric(label, lane.oldest_seconds)
        stopped.add_metric(label, lane.stopped)
        careful.add_metric(label, lane.careful_transfers_left)
        _add_moment(applied, lane.last_applied_at, labels=label)
    yield from (queued, oldest, stopped, careful, applied)


def _ending_seconds(lanes: Sequence[LaneState]) -> Metric:
    spent = HistogramMetricFamily(
        "hishab_accepted_to_applied_seconds",
        "How long transfers took from accepted to applied, all of them since the lane was made.",
        labels=["lane"],
    )
    for lane in lanes:
        found = buckets(lane.ending_counts, bounds=ENDING_BOUNDS_SECONDS)
        spent.add_metric([str(lane.lane)], found, lane.ending_seconds)
    return spent


def _deliveries(seen: Seen | None) -> Iterator[Metric]:
    due = GaugeMetricFamily(
        "hishab_deliveries_due", "Webhooks that should be sent by now, counted up to 10,000.", labels=["endpoints"]
    )
    oldest = GaugeMetricFamily(
        "hishab_deliveries_oldest_due_seconds", "How long the oldest of them has been due.", labels=["endpoints"]
    )
    for deliveries in seen.deliveries if seen else ():
        label = ["failing" if deliveries.failing else "answering"]
        due.add_metric(label, deliveries.due)
        oldest.add_metric(label, deliveries.oldest_seconds)
    disabled = GaugeMetricFamily(
        "hishab_endpoints_disabled", "Webhook endpoints that get nothing, counted up to 10,000."
    )
    if seen:
        disabled.add_metric([], seen.endpoints_disabled)
    yield from (due, oldest, disabled)


def _trouble(seen: Seen | None) -> Iterator[Metric]:
    unprocessable = GaugeMetricFamily(
        "hishab_unprocessable_transfers", "Transfers that a defect of ours ended, counted up to 10,000."
    )
    swept = GaugeMetricFamily("hishab_last_sweep_timestamp_seconds", "When upkeep last looked for forgotten lanes.")
    audited = GaugeMetricFamily("hishab_last_audit_timestamp_seconds", "When the last audit was finished.")
    holds = GaugeMetricFamily("hishab_last_audit_holds", "Whether the last audit found that the ledger holds.")
    if seen:
        unprocessable.add_metric([], seen.unprocessable)
        _add_moment(swept, seen.swept_at, labels=[])
    if seen and seen.last_audit:
        _add_moment(audited, seen.last_audit.finished_at, labels=[])
        holds.add_metric([], seen.last_audit.holds)
    yield from (unprocessable, swept, audited, holds)


def _add_moment(family: GaugeMetricFamily, at: datetime | None, *, labels: list[str]) -> None:
    """Add when something happened; nothing if it never did."""
    if at is not None:
        family.add_metric(labels, at.timestamp())
