"""Hold progress to few lines where there is no terminal, and to none for what has no parts."""

import io

from rich.console import Console

from hishab.progress import Progress


class TestProgress:
    def test_says_where_nobody_watches_only_that_a_stage_is_done(self) -> None:
        out = io.StringIO()
        with Progress(Console(file=out)) as progress:
            progress.begin("sent", total=1_000)
            for _ in range(1_000):
                progress.advance()
            progress.begin("final", total=0)
        assert out.getvalue() == "sent: 1000 of 1000\n"

    def test_draws_a_bar_on_a_terminal(self) -> None:
        out = io.StringIO()
        with Progress(Console(file=out, force_terminal=True, width=80)) as progress:
            progress.begin("sent", total=3)
            progress.advance(3)
        assert "sent" in out.getvalue()
        assert "3/3" in out.getvalue()
