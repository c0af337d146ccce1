"""The deliberate bugs: small, plausible, and each a rule of the protocol broken in one place."""

from dataclasses import dataclass


class BugGoneError(Exception):
    """The text that a bug replaces is not there once, but never or several times."""


@dataclass(frozen=True)
class Bug:
    """One wrong line in place of a right one; `right` must stand in the module exactly once."""

    name: str
    module: str  # path from the root of the project
    right: str
    wrong: str

    def put_into(self, text: str) -> str:
        """Return the module's `text` with the bug in it.

        Raises:
            BugGoneError: the module has changed; the bug must be written anew.
        """
        found = text.count(self.right)
        if found != 1:
            raise BugGoneError(
                f"cannot put {self.name!r} into {self.module}: the text to replace stands there "
                f"{found} times, not once; write it anew in benchmarks/mutation/bugs.py: {self.right!r}"
            )
        return text.replace(self.right, self.wrong)


BUGS = (
    Bug(
        "accept an alive with an equal incarnation",
        "gossip/swim/member.py",
        "    (ALIVE, ALIVE): 1,\n    (ALIVE, SUSPECT): 1,\n",
        "    (ALIVE, ALIVE): 0,\n    (ALIVE, SUSPECT): 0,\n",
    ),
    Bug(
        "a suspicion brings the dead back",
        "gossip/swim/member.py",
        "    (SUSPECT, ALIVE): 0,\n",
        "    (SUSPECT, ALIVE): 0,\n    (SUSPECT, DEAD): 0,\n    (SUSPECT, LEFT): 0,\n",
    ),
    Bug(
        "never shrink a suspicion",
        "gossip/swim/suspicion.py",
        "len(self.confirmers), self.k, 0.0, self.minimum, self.maximum",
        "0, self.k, 0.0, self.minimum, self.maximum",
    ),
    Bug(
        "the same witness confirms a suspicion twice",
        "gossip/swim/suspicion.py",
        " or reporter in self.confirmers:",
        ":",
    ),
    Bug(
        "skip a witness: the first confirmation is not passed on",
        "gossip/swim/view.py",
        "if suspicion.confirm(suspect.reporter):\n",
        "if suspicion.confirm(suspect.reporter) and len(suspicion.confirmers) > 1:\n",
    ),
    Bug(
        "forget to refute",
        "gossip/swim/view.py",
        "        self._become(max(self._me.incarnation, accused) + 1, self._me.alive.meta)\n",
        "        return\n",
    ),
    Bug(
        "a refutation is left to push/pull",
        "gossip/swim/view.py",
        "        self._queue.enqueue(encode(self._me.alive), key=self._me.address)\n",
        "",
    ),
    Bug(
        "refute without raising the incarnation",
        "gossip/swim/view.py",
        "self._become(max(self._me.incarnation, accused) + 1, self._me.alive.meta)",
        "self._become(max(self._me.incarnation, accused), self._me.alive.meta)",
    ),
    Bug(
        "a death is not passed on",
        "gossip/swim/view.py",
        "        self._queue.enqueue(encoded or encode(dead), key=member.name, token=token)\n",
        "",
    ),
    Bug(
        "a refuted suspicion goes on",
        "gossip/swim/view.py",
        "suspicion = self._drop_suspicion(member.name)\n        old_state, old_meta",
        "suspicion = self.suspicions.get(member.name)\n        old_state, old_meta",
    ),
    Bug(
        "wrong retransmit limit: as often, however large the cluster",
        "gossip/swim/config.py",
        "return ceil(LAMBDA_PER_MULT * config.retransmit_mult * log(n + 1))",
        "return config.retransmit_mult",
    ),
    Bug(
        "no retransmissions: each broadcast is sent once",
        "gossip/swim/config.py",
        "return ceil(LAMBDA_PER_MULT * config.retransmit_mult * log(n + 1))",
        "return min(1, config.retransmit_mult)",
    ),
    Bug(
        "a broadcast never wears out",
        "gossip/swim/dissemination.py",
        "        if transmits >= limit:\n",
        "        if transmits < 0:\n",
    ),
    Bug(
        "no indirect probes",
        "gossip/swim/detector.py",
        "self._table.choose(self._config.indirect_checks,",
        "self._table.choose(0,",
    ),
    Bug(
        "a relay forgets to pass the answer on",
        "gossip/swim/detector.py",
        "            self._reply(relay.requester, encode(Ack(relay.seq)))\n",
        "",
    ),
    Bug(
        "skip a witness: the Lamport clock ignores what it sees",
        "gossip/serf/lamport.py",
        "        self.time = min(time + 1, LAST_TIME)\n",
        "",
    ),
    Bug(
        "a user event is news every time",
        "gossip/serf/recent.py",
        "if slot in self._ring and thing in self._ring[slot][1]:",
        "if slot not in self._ring and thing in self._ring[slot][1]:",
    ),
    Bug(
        "a join intent is no newer than the leave before it",
        "gossip/serf/intents.py",
        "intent = JoinIntent(self._roster.clock.increment(), self._name)",
        "intent = JoinIntent(0, self._name)",
    ),
)
