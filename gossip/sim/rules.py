"""The simulator's exception: a rule that the protocol promises to keep was broken."""

from gossip.errors import GossipError


class RuleBrokenError(GossipError):
    """A checker found a violation, at the world's time `at`."""

    def __init__(self, rule: str, detail: str, at: float) -> None:
        super().__init__(f"{rule}: {detail} (at {at:.6f} s)")
        self.rule = rule
        self.detail = detail
        self.at = at
