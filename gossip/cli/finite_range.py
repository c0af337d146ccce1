"""A number on the command line: click's own range lets NaN through, which is neither below nor above."""

from math import isfinite

import click


class FiniteRange(click.FloatRange):
    """A number between two others."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number that `value` writes."""
        number: float = super().convert(value, param, ctx)  # type: ignore[arg-type]  # click says float, and hands over text
        if not isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number
