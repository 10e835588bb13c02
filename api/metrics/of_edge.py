"""Turn what this process of the edge has counted since it started into metrics: to be summed over processes."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from api.metrics.of_system import buckets
from api.parts import Parts
from api.transfers.figures import Figures
from api.transfers.room import Room
from shared.queue import WakeUpFigures


def collect(parts: Parts) -> Iterator[Metric]:
    """Name what the doors to the queue have seen, and what became of wake-ups."""
    doors = {"transfers": parts.intake, "batches": parts.batch_intake}
    figures = {name: intake.figures for name, intake in doors.items()}
    yield from _counts(figures)
    yield from _spreads(figures)
    yield from _rooms({name: intake.room for name, intake in doors.items()})
    yield _wake_ups(parts.wake_ups.figures)
    full = GaugeMetricFamily("hishab_backlog_full", "Whether nothing new is accepted because too much is queued.")
    full.add_metric([], parts.backlog.is_full())
    yield full


def _counts(figures: Mapping[str, Figures]) -> Iterator[Metric]:
    accepted = CounterMetricFamily("hishab_intake_accepted_transfers", "Transfers accepted.", labels=["door"])
    replayed = CounterMetricFamily(
        "hishab_intake_replayed_requests", "Requests answered with an earlier acceptance.", labels=["door"]
    )
    refused = CounterMetricFamily(
        "hishab_intake_refused_requests", "Requests refused at the queue's door.", labels=["door", "code"]
    )
    warned = CounterMetricFamily(
        "hishab_intake_standby_warnings", "Writes that the synchronous standby did not confirm.", labels=["door"]
    )
    for door, of_door in figures.items():
        accepted.add_metric([door], of_door.accepted)
        replayed.add_metric([door], of_door.replayed)
        warned.add_metric([door], of_door.standby_warnings)
        for code, count in sorted(of_door.refused.items()):
            refused.add_metric([door, code], count)
    yield from (accepted, replayed, refused, warned)


def _spreads(figures: Mapping[str, Figures]) -> Iterator[Metric]:
    sizes = HistogramMetricFamily(
        "hishab_intake_group_transfers", "Transfers that were written together.", labels=["door"]
    )
    seconds = HistogramMetricFamily(
        "hishab_intake_write_seconds", "How long such a write took, its commit included.", labels=["door"]
    )
    for door, of_door in figures.items():
        for family, spread in ((sizes, of_door.group_sizes), (seconds, of_door.write_seconds)):
            family.add_metric([door], buckets(spread.counts, bounds=spread.bounds), spread.total)
    yield from (sizes, seconds)


def _rooms(rooms: Mapping[str, Room]) -> Iterator[Metric]:
    transfers = GaugeMetricFamily(
        "hishab_intake_waiting_transfers", "Transfers waiting to be written.", labels=["door"]
    )
    room = GaugeMetricFamily(
        "hishab_intake_room_used_ratio",
        "How much of the room to wait in is taken, by count or by bytes, whichever is more.",
        labels=["door"],
    )
    for door, of_door in rooms.items():
        transfers.add_metric([door], of_door.transfers)
        used = max(of_door.transfers / of_door.transfers_max, of_door.body_bytes / of_door.bytes_max)
        room.add_metric([door], used)
    yield from (transfers, room)


def _wake_ups(figures: WakeUpFigures) -> Metric:
    wake_ups = CounterMetricFamily(
        "hishab_wake_ups", "Wake-ups for lanes, by what became of them: sent, coalesced or dropped.", labels=["outcome"]
    )
    for outcome in ("sent", "coalesced", "dropped"):
        wake_ups.add_metric([outcome], getattr(figures, outcome))
    return wake_ups
