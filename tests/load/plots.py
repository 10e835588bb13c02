"""Draw what was measured, for `docs/bench`: each plot as PNG and as SVG, with the machine named."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from textwrap import fill
from typing import Any

from tests.load.machine import sentence

CAPTION_WIDTH = 110
LATENCIES = ("p50", "p90", "p99")


def draw(folder: Path, *, reported: Mapping[str, Any]) -> None:
    """Draw every plot whose points were measured."""
    points: Mapping[str, Sequence[Sequence[float]]] = reported["points"]
    for name, plot in _PLOTS.items():
        if points.get(name):
            _draw(folder / name.replace(" ", "-"), points=points[name], plot=plot, machine=reported["machine"])


def _draw(place: Path, *, points: Sequence[Sequence[float]], plot: Mapping[str, Any], machine: dict[str, Any]) -> None:
    # By name: matplotlib comes with the extra `bench` alone, and half of it has no types.
    matplotlib: Any = import_module("matplotlib")
    matplotlib.use("Agg")
    # No dates and no random ids: the same figures draw the same file.
    matplotlib.rcParams["svg.hashsalt"] = "hishab"
    pyplot: Any = import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(figsize=(8, 5))
    across, *ups = zip(*points, strict=True)
    for label, values in zip(plot["labels"], ups, strict=True):
        axes.plot(across, values, marker="o", label=label)
    axes.set(title=plot["title"], xlabel=plot["across"], ylabel=plot["up"], xscale=plot.get("scale", "linear"))
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, alpha=0.3)
    if len(ups) > 1:
        axes.legend()
    figure.text(0.01, 0.01, fill(sentence(machine), CAPTION_WIDTH), fontsize=7, va="bottom")
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    figure.savefig(place.with_suffix(".png"), dpi=150, metadata={"Software": None})
    figure.savefig(place.with_suffix(".svg"), metadata={"Date": None})
    pyplot.close(figure)


_PLOTS: Mapping[str, Mapping[str, Any]] = {
    "throughput by batch size": {
        "title": "End to end over HTTP, by transfers in a request",
        "across": "transfers in a request",
        "up": "transfers a second, from the first request to the last ending",
        "scale": "log",
        "labels": ("transfers",),
    },
    "latency by load": {
        "title": "From the intended time of sending until the end is known",
        "across": "transfers sent a second",
        "up": "milliseconds",
        "labels": LATENCIES,
    },
    "throughput by growth": {
        "title": "Applying a backlog as the tables grow",
        "across": "transfers in the tables",
        "up": "transfers applied a second",
        "labels": ("transfers",),
    },
    "throughput by lanes": {
        "title": "Applying a backlog, by number of lanes and of processes",
        "across": "lanes",
        "up": "transfers applied a second",
        "labels": ("transfers",),
    },
}
