"""A run as an SVG picture: nodes by time, coloured by their beliefs, with commands and faults marked."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gossip.cli.simulator.beliefs import Changes
    from gossip.cli.simulator.timeline import Key

WIDTH = 1200
LEFT = 90
TOP = 60
TALLEST_ROW = 18
MOST_HEIGHT = 1600
TICKS = 10
LEGEND_STEP = 190


def picture(
    title: str,
    changes: Mapping[str, Changes],
    keys: Mapping[int, Key],
    notes: Sequence[tuple[float, str]],
    ended: float,
) -> str:
    """Return the picture; hovering over a mark shows the command or fault, over a bar its meaning."""
    row = min(TALLEST_ROW, MOST_HEIGHT / max(1, len(changes)))
    height = TOP + row * len(changes) + 40
    scale = (WIDTH - LEFT - 20) / max(ended, 1e-9)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{height:.0f}" fill="white"/>',
        f'<text x="{LEFT}" y="18" font-size="14">{escape(title)}</text>',
        *_legend(keys),
        *_rows(changes, keys, row, scale, ended),
        *_marks(notes, scale, row * len(changes)),
        *_axis(scale, ended, TOP + row * len(changes)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _legend(keys: Mapping[int, Key]) -> Iterator[str]:
    for place, key in enumerate(keys.values()):
        x = LEFT + place * min(LEGEND_STEP, (WIDTH - LEFT) / len(keys))
        yield f'<rect x="{x:.0f}" y="28" width="10" height="10" fill="{key.colour}" stroke="#999"/>'
        yield f'<text x="{x + 14:.0f}" y="37">{escape(key.meaning)}</text>'


def _rows(
    changes: Mapping[str, Changes], keys: Mapping[int, Key], row: float, scale: float, ended: float
) -> Iterator[str]:
    for place, (name, each) in enumerate(changes.items()):
        y = TOP + place * row
        if row >= 8:
            yield f'<text x="{LEFT - 6}" y="{y + row * 0.75:.1f}" text-anchor="end">{escape(name)}</text>'
        ends = [at for at, _ in each[1:]] + [ended]
        for (start, value), end in zip(each, ends, strict=True):
            key = keys[value]
            yield (
                f'<rect x="{LEFT + start * scale:.2f}" y="{y:.1f}" width="{(end - start) * scale:.2f}" '
                f'height="{row * 0.9:.1f}" fill="{key.colour}"><title>{escape(name)}: {escape(key.meaning)} '
                f"from {start:.3f} s to {end:.3f} s</title></rect>"
            )


def _marks(notes: Sequence[tuple[float, str]], scale: float, depth: float) -> Iterator[str]:
    for at, what in notes:
        x = LEFT + at * scale
        yield (
            f'<path d="M{x:.2f} {TOP - 8} v{depth + 8:.1f}" stroke="black" stroke-opacity="0.25">'
            f"<title>{at:.3f} s: {escape(what)}</title></path>"
        )


def _axis(scale: float, ended: float, y: float) -> Iterator[str]:
    for tick in range(TICKS + 1):
        at = ended * tick / TICKS
        x = LEFT + at * scale
        yield f'<path d="M{x:.1f} {y:.1f} v5" stroke="black"/>'
        yield f'<text x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{at:.4g} s</text>'
