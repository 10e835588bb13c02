"""Hand columns over to PostgreSQL as arrays in binary, each of a type that does not depend on what is in it."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from struct import Struct
from typing import Any, ClassVar, Final
from uuid import UUID

import psycopg
from psycopg.abc import AdaptContext
from psycopg.adapt import Dumper
from psycopg.postgres import types
from psycopg.pq import Format

# What PostgreSQL's array_recv reads: dimensions, whether there are nulls, the type, how many, the number of the first.
_HEAD: Final = Struct("!iiIii")
_LENGTH: Final = Struct("!i")
_BIGINT: Final = Struct("!iq")

_NULL: Final = _LENGTH.pack(-1)
_LENGTH_OF_UUID: Final = _LENGTH.pack(16)
_LENGTH_OF_BIGINT: Final = 8


class Array(ABC):
    """A column of values, or of None, as one parameter.

    The type of a list is found by psycopg in what the list holds: where that is nothing, or only small numbers, the
    same text would be another statement, parsed and planned anew.
    """

    __slots__ = ("values",)

    element_type: ClassVar[str]

    def __init__(self, values: Sequence[Any]) -> None:
        """Take values that `spell` can spell."""
        self.values: Final = values

    @staticmethod
    @abstractmethod
    def spell(value: Any) -> bytes:  # noqa: ANN401 (each its own)
        """Spell an element: its length, and itself."""


class UuidArray(Array):
    """For uuid[]."""

    element_type = "uuid"

    @staticmethod
    def spell(value: UUID) -> bytes:
        """Spell an id."""
        return _LENGTH_OF_UUID + value.bytes


class BigintArray(Array):
    """For bigint[]."""

    element_type = "int8"

    @staticmethod
    def spell(value: int) -> bytes:
        """Spell a number."""
        return _BIGINT.pack(_LENGTH_OF_BIGINT, value)


class ByteaArray(Array):
    """For bytea[]."""

    element_type = "bytea"

    @staticmethod
    def spell(value: bytes) -> bytes:
        """Spell bytes."""
        return _LENGTH.pack(len(value)) + value


class TextArray(Array):
    """For text[]."""

    element_type = "text"

    @staticmethod
    def spell(value: str) -> bytes:
        """Spell a text."""
        return ByteaArray.spell(value.encode())


class JsonArray(Array):
    """For json[], which keeps the order of keys."""

    element_type = "json"

    @staticmethod
    def spell(value: object) -> bytes:
        """Spell whatever JSON can hold."""
        return TextArray.spell(json.dumps(value))


class _ArrayDumper(Dumper):
    format = Format.BINARY

    def __init__(self, cls: type[Array], context: AdaptContext | None = None) -> None:
        super().__init__(cls, context)
        element = types[cls.element_type]
        self.oid = element.array_oid
        self._element_oid = element.oid
        self._spell = cls.spell

    def dump(self, obj: Array) -> bytes:
        elements = [_NULL if value is None else self._spell(value) for value in obj.values]
        return _HEAD.pack(1, 1, self._element_oid, len(elements), 1) + b"".join(elements)


psycopg.adapters.register_dumper(Array, _ArrayDumper)
