"""Bodies of the command that asks for a member's network coordinate (serf-wire 6.3)."""

from typing import NamedTuple, Self

from gossip.ipc.fields import Fields, as_fields, flag, real, reals, text


class GetCoordinate(NamedTuple):
    """Ask for the network coordinate of the member `node`."""

    node: str

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        return cls(text(fields, "Node"))

    def to_fields(self) -> Fields:
        """Return the map form."""
        return {"Node": self.node}


class FoundCoordinate(NamedTuple):
    """A coordinate, all zero unless `is_known`; in seconds, except `error`."""

    is_known: bool
    vec: tuple[float, ...] = ()
    error: float = 0.0
    adjustment: float = 0.0
    height: float = 0.0

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        coordinate = as_fields(fields.get("Coord"))
        return cls(
            flag(fields, "Ok"),
            reals(coordinate, "Vec"),
            real(coordinate, "Error"),
            real(coordinate, "Adjustment"),
            real(coordinate, "Height"),
        )

    def to_fields(self) -> Fields:
        """Return the map form."""
        coordinate = {
            "Adjustment": self.adjustment,
            "Error": self.error,
            "Height": self.height,
            "Vec": list(self.vec) or None,
        }
        return {"Coord": coordinate, "Ok": self.is_known}
