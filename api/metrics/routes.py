"""Serve what Prometheus collects."""

from typing import Final

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric

from api.metrics import of_edge, of_system
from api.parts import FromParts

router = APIRouter()

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/metrics", include_in_schema=False)
async def get_metrics(parts: FromParts) -> Response:
    """Say what this process has counted, and what PostgreSQL says; the former also while PostgreSQL is away."""
    registry = CollectorRegistry()
    registry.register(_Collected([*of_edge.collect(parts), *of_system.collect(await parts.looks.latest())]))
    return Response(generate_latest(registry), media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})


class _Collected:
    """Metrics that are made already, as the library wants to have them."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics
