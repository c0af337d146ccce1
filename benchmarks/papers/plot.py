"""Plots as SVG: lines with error bars, ours and a paper's; needs matplotlib (dependency group `bench`).

Nothing else imports matplotlib, and this module does so only when it draws: figures need no pictures. The
same data give the same file: no date, no random identifiers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from benchmarks.papers.confidence import Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

PANEL_INCHES = (4.8, 3.4)


class Series(msgspec.Struct, frozen=True):
    """One line: ours has intervals; what was read off a paper has none, and stands as crosses."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float | Estimate]
    is_paper: bool = False
    marks: bool = True  # the points
    line: bool = True  # between them


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """One pair of axes."""

    title: str
    x: str
    y: str
    series: Sequence[Series]
    x_scale: Literal["linear", "log"] = "linear"
    y_scale: Literal["linear", "log", "symlog"] = "linear"


def is_available() -> bool:
    """Tell whether matplotlib is there."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def draw(path: Path, panels: Sequence[Panel], columns: int = 2) -> None:
    """Write the panels, `columns` in a row, to the SVG file `path`.

    Raises:
        OSError: the file cannot be written.
        ImportError: matplotlib is missing.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    rows = -(-len(panels) // columns)
    width, height = PANEL_INCHES
    with mpl.rc_context({"svg.hashsalt": "gossip", "svg.fonttype": "none", "font.size": 8}):
        figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
        for number, panel in enumerate(panels):
            _fill(figure.add_subplot(rows, columns, number + 1), panel)
        figure.savefig(path, format="svg", metadata={"Date": None})


def _fill(axes: Axes, panel: Panel) -> None:
    for series in panel.series:
        estimates = [y if isinstance(y, Estimate) else Estimate(y, y, y) for y in series.ys]
        ys = [each.value for each in estimates]
        if series.is_paper:
            axes.plot(series.xs, ys, "x", label=series.name)
            continue
        style = ("o" if series.marks else "") + ("-" if series.line else "")
        below = [max(0.0, each.value - each.low) for each in estimates]
        above = [max(0.0, each.high - each.value) for each in estimates]
        axes.errorbar(
            series.xs, ys, yerr=(below, above), fmt=style, markersize=3, capsize=2, label=series.name
        )
    axes.set(title=panel.title, xlabel=panel.x, ylabel=panel.y, xscale=panel.x_scale, yscale=panel.y_scale)
    if panel.y_scale != "log":
        axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
