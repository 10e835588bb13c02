"""Read the specification that a running system serves, for tests that go through all of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

from api.main import make_app
from tests.unit.test_problems import SETTINGS

METHODS: Final = frozenset({"get", "post", "put", "patch", "delete"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation.

    Attributes:
        parameters: Those of the path, the query and the header, as (place, name).
        media_type: Of the body, if it takes one.
        bodies: Examples of it.
    """

    name: str
    method: str
    path: str
    is_open: bool
    parameters: tuple[tuple[str, str], ...]
    media_type: str | None
    bodies: tuple[Any, ...]

    @property
    def body(self) -> Any:  # noqa: ANN401 (what JSON may hold)
        """Give one example of a body, or None if it takes none."""
        return next(iter(self.bodies), None)


def specified(spec: dict[str, Any]) -> dict[str, Operation]:
    """Read every operation of a specification, by name."""
    found = (
        _operation(method, path, described)
        for path, item in spec["paths"].items()
        for method, described in item.items()
        if method in METHODS
    )
    return {operation.name: operation for operation in found}


def specification() -> dict[str, Any]:
    """Make the specification without a system: it is the same that one serves."""
    return make_app(SETTINGS, lane_count=1).openapi()


def text_fields(value: object, *, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Find where in a body there are values to be spoilt."""
    inner: dict[str | int, object] = {}
    if isinstance(value, dict):
        inner = cast("dict[str | int, object]", value)
    elif isinstance(value, list):
        inner = dict(enumerate(cast("list[object]", value)))
    for step, found in inner.items():
        yield (*at, step)
        yield from text_fields(found, at=(*at, step))


def _operation(method: str, path: str, described: dict[str, Any]) -> Operation:
    content: dict[str, Any] = described.get("requestBody", {}).get("content", {})
    media_type = next(iter(content), None)
    examples: dict[str, Any] = content[media_type]["examples"] if media_type else {}
    return Operation(
        name=described["operationId"],
        method=method.upper(),
        path=path,
        is_open=not described.get("security"),
        parameters=tuple((parameter["in"], parameter["name"]) for parameter in described.get("parameters", ())),
        media_type=media_type,
        bodies=tuple(example["value"] for example in examples.values()),
    )
