"""A number on the command line: click's own range lets NaN through, which is neither too low nor too high."""

from math import isfinite

import click


class FiniteRange(click.FloatRange):
    """A finite number within a range."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return `value` as a number."""
        number: float = super().convert(value, param, ctx)  # type: ignore[arg-type]  # click says float, and hands over text
        if not isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number
