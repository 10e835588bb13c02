"""Lines stand under the name of the part that said them."""

import io

import pytest

from hishab.part_log import PartLog, wants_colour


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class ClosedPipe(io.StringIO):
    def flush(self) -> None:
        raise BrokenPipeError


class TestSay:
    def test_aligns_the_names(self) -> None:
        stream = io.StringIO()
        log = PartLog(stream, names=["api", "postgres"], coloured=False)
        log.say("one", name="api")
        log.say("two", name="postgres")
        log.say("three")
        assert stream.getvalue() == "api      | one\npostgres | two\nhishab   | three\n"

    def test_colours_names_and_nothing_else(self) -> None:
        stream = io.StringIO()
        PartLog(stream, names=["api"], coloured=True).say("one", name="api")
        assert stream.getvalue() == "\x1b[32mapi    |\x1b[0m one\n"

    def test_survives_a_reader_that_has_gone(self) -> None:
        PartLog(ClosedPipe(), names=[], coloured=False).say("one")


class TestWantsColour:
    @pytest.mark.parametrize(
        ("environment", "wanted"),
        [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    )
    def test_on_a_terminal_unless_told_otherwise(self, *, environment: dict[str, str], wanted: bool) -> None:
        assert wants_colour(Terminal(), environment=environment) is wanted

    def test_never_in_a_file(self) -> None:
        assert not wants_colour(io.StringIO(), environment={})
