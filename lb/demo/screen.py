"""The output of the demonstration: a live screen in a terminal, a plain timeline in a pipe."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import trio

from lb.demo.load import Tally
from lb.demo.story import Measured, Story
from lb.demo.timeline import Timeline
from lb.demo.witness import Witness

if TYPE_CHECKING:
    from rich.console import RenderableType

REFRESH = 0.25
SHOWN_LINES = 14
BAR_WIDTH = 24
_STYLES = {"alive": "green", "leaving": "yellow", "left": "bright_black", "failed": "bold red"}


class Screen:
    """Draws the cluster, the load and the newest lines repeatedly."""

    def __init__(self, story: Story, witness: Witness, tally: Tally, timeline: Timeline) -> None:
        self._story = story
        self._witness = witness
        self._tally = tally
        self._timeline = timeline
        self._rates: dict[str, float] = {}
        self._before: Counter[str] = Counter()

    async def run(self) -> None:
        """Draw until cancelled; the last picture stays."""
        from rich.live import Live

        with Live(self.draw(), auto_refresh=False, transient=False) as live:
            try:
                while True:
                    await trio.sleep(REFRESH)
                    self._measure()
                    live.update(self.draw(), refresh=True)
            finally:
                live.update(self.draw(), refresh=True)

    def draw(self) -> "RenderableType":
        """Return the current picture."""
        from rich.console import Group
        from rich.panel import Panel
        from rich.text import Text

        tally = self._tally
        counts = f"{tally.sent} requests sent, {tally.failed} failed, {len(self._witness.swaps)} swaps"
        lines = "\n".join(map(str, self._timeline.lines[-SHOWN_LINES:]))
        title = f"{self._timeline.now:5.1f}s  {self._story.act}"
        return Group(
            Panel(self._table(), title=title, title_align="left"),
            Text(counts, style="bold red" if tally.failed else "bold green"),
            Text(lines),
        )

    def _table(self) -> "RenderableType":
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False)
        for heading in ("member", "gossip", "haproxy.cfg", "requests/s", ""):
            table.add_column(heading)
        top = max(self._rates.values(), default=0) or 1
        for name, status in sorted(self._witness.status.items()):
            if name == "lb":
                continue
            rate = self._rates.get(name, 0.0)
            table.add_row(
                name,
                Text(status, style=_STYLES.get(status, "")),
                "server" if name in self._story.servers else "-",
                f"{rate:.0f}",
                "█" * round(BAR_WIDTH * rate / top),
            )
        return table

    def _measure(self) -> None:
        """Turn counts into rates, smoothed over about a second."""
        for name, count in self._tally.by_server.items():
            newest = (count - self._before[name]) / REFRESH
            self._rates[name] = 0.75 * self._rates.get(name, 0.0) + 0.25 * newest
        self._before = self._tally.by_server.copy()


def summary(results: Sequence[Measured], tally: Tally, swaps: int, problems: Sequence[str]) -> list[str]:
    """Return the lines of the final summary."""
    rows = [*results, Measured("swaps", str(swaps))]
    outcome = f"{tally.sent} sent, {tally.failed} failed; the slowest took {1000 * tally.slowest:.0f} ms"
    rows.append(Measured("requests", outcome))
    width = max(len(row.what) for row in rows)
    lines = [f"{row.what:<{width}}  {row.result}" for row in rows]
    return [*lines, *(f"EXPECTATION NOT MET: {problem}" for problem in problems)]
