"""Judge how long it took: what is measured of a fault that bites alone has bounds in faults.md, section 4.2. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.chaos.fault import Fault, Measure
from tests.chaos.figures import OfFault

PHRASES: Mapping[Measure, str] = {
    Measure.RECOVERY: "recovery",
    Measure.ERRORS: "last error after it",
    Measure.ANSWERED_P99: "posts answered, p99",
    Measure.ENDED_P99: "accepted to ended, p99",
    Measure.ENDED_MAX: "accepted to ended, longest",
    Measure.NOT_ACCEPTED: "posts not accepted",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One bound, and what came of it.

    Attributes:
        was: As it was measured; nothing if there was nothing to measure.
        must: What it may be at most, as `faults.md` has it.
        slack: By what seconds were allowed to be more, as a factor.
    """

    fault: str
    measure: Measure
    was: float | None
    must: float
    slack: float = 1.0

    @property
    def is_kept(self) -> bool:
        """Say whether it is; what was not measured proves nothing."""
        most = self.must * self.slack if self.is_time else self.must
        return self.was is not None and self.was <= most

    @property
    def is_time(self) -> bool:
        """Say whether it is in seconds."""
        return self.measure.value.endswith("_seconds")

    def __str__(self) -> str:
        unit = " s" if self.is_time else ""
        was = "not measured" if self.was is None else f"{self.was:.{2 if self.is_time else 0}f}{unit}"
        slack = f", here {self.slack:g} times that" if self.is_time and self.slack != 1 else ""
        return f"{PHRASES[self.measure]} {was}, must {self.must:g}{unit}{slack}"


def bounds_of(figures: Sequence[OfFault], *, faults: Sequence[Fault], slack: float = 1.0) -> list[Bound]:
    """Compare what was measured with every bound of these faults."""
    measured = {one.fault: one.measured for one in figures}
    return [
        Bound(fault=fault.name, measure=measure, was=measured.get(fault.name, {}).get(measure), must=must, slack=slack)
        for fault in sorted(faults, key=lambda fault: int(fault.name[1:]))
        for measure, must in fault.bounds.items()
    ]
