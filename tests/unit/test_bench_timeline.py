"""Does the bench say where its time goes?"""

from shared.clock import pause
from tests.load.timeline import SHOWN_SECONDS, Timeline


def test_each_thing_is_kept_with_the_parts_that_took_long() -> None:
    said: list[str] = []
    kept: list[str] = []
    timeline = Timeline(say=said.append, keep=kept.append)
    timeline.begin("S1, round 1")
    for _ in range(2):
        with timeline.part("auditing"):
            pause(SHOWN_SECONDS)
    timeline.begin("S2, round 1")
    timeline.end()
    assert said == ["S1, round 1", "S2, round 1"]
    first, second = kept
    assert " S1, round 1 (auditing " in first
    assert second.endswith("S2, round 1")
