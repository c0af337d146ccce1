"""The exception of the simulator: a rule that the protocol promises to keep was broken."""

from gossip.errors import GossipError


class RuleBrokenError(GossipError):
    """A checker saw something that must not happen, at the world's time `at`."""

    def __init__(self, rule: str, detail: str, at: float) -> None:
        super().__init__(f"{rule}: {detail} (at {at:.6f} s)")
        self.rule = rule
        self.detail = detail
        self.at = at
