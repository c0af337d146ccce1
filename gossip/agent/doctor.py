"""Looks for faults between this agent and its peers, on demand, and collects the data for `diagnosis`.

The messages used are answered by every Serf peer and never reach its scripts: pings by datagram (short, and
as long as gossip's longest) and by stream, and the query ``_serf_ping``.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import sample
from typing import TYPE_CHECKING

import trio

from gossip.agent.diagnosis import Observations, PeerReport, diagnose
from gossip.errors import LocalProtocolError
from gossip.ipc.doctor_bodies import Diagnosis
from gossip.serf.effects import Effect, QueryAcked, QueryAnswered, QueryFinished
from gossip.serf.members import MemberStatus
from gossip.serf.queries import QueryRequest
from gossip.serf.query_exchange import PING_QUERY
from gossip.swim.config import push_pull_delay
from gossip.swim.effects import PathsChecked
from gossip.swim.path_check import MAX_PATH_CHECKS

if TYPE_CHECKING:
    from gossip.agent.driver import Driver
    from gossip.agent.query_desk import QueryDesk
    from gossip.serf.members import SerfMember

MAX_PEERS = MAX_PATH_CHECKS
"""Peers examined at once, drawn at random if there are more."""
ROUNDS = 3
"""Checks of a peer that does not answer in every way: one or two lost packets are not a finding."""
ANSWER_SLACK = 1.0
"""Seconds that a round may take beyond the core's own time limit."""


class Doctor:
    """Examines on demand, one examination at a time."""

    def __init__(self, driver: Driver, queries: QueryDesk) -> None:
        self._driver = driver
        self._queries = queries
        self._busy = trio.Lock()

    async def examine(self) -> Diagnosis:
        """Check the paths to the peers and return the findings; takes a few seconds if there is a fault."""
        async with self._busy:
            node = self._driver.node
            alive = [
                member
                for member in node.members()
                if member.name != node.name and member.status in (MemberStatus.ALIVE, MemberStatus.LEAVING)
            ]
            peers = alive if len(alive) <= MAX_PEERS else sample(alive, MAX_PEERS)
            acked: set[str] = set()
            results = {member.name: [0, 0, 0, 0] for member in peers}  # tries, small, full, stream
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._ask_for_acks, {member.name for member in peers}, acked)
                nursery.start_soon(self._check_paths, results)
            tried = [member for member in peers if results[member.name][0]]  # otherwise gone meanwhile
            reports = [self._report(member, results[member.name], acked) for member in tried]
            findings = diagnose(self._observations(reports, len(alive)))
            return Diagnosis(node.name, len(tried), len(alive), tuple(findings))

    async def _check_paths(self, results: dict[str, list[int]]) -> None:
        """Check all peers; check those that did not answer in every way again, up to `ROUNDS` times."""
        for _ in range(ROUNDS):
            wanted = {name for name, counts in results.items() if 0 in counts}
            if not wanted:
                return
            for found in await self._round(wanted):
                counts = results[found.node]
                answers = (True, found.small, found.full, found.stream)
                results[found.node] = [count + hit for count, hit in zip(counts, answers, strict=True)]

    async def _round(self, names: set[str]) -> list[PathsChecked]:
        found: list[PathsChecked] = []
        waiting = set(names)
        done = trio.Event()

        def listen(effects: Sequence[Effect], _now: float) -> None:
            for effect in effects:
                if isinstance(effect, PathsChecked) and effect.node in waiting:
                    waiting.discard(effect.node)
                    found.append(effect)
            if not waiting:
                done.set()

        observers = self._driver.observers
        observers.append(listen)
        try:
            for name in names:
                if not self._begin(name):
                    waiting.discard(name)
            with trio.move_on_after(self._driver.node.config.swim.probe_interval + ANSWER_SLACK):
                if waiting:
                    await done.wait()
        finally:
            observers.remove(listen)
        return found

    def _begin(self, name: str) -> bool:
        return self._driver.apply(lambda node, now: node.check_paths(name, now))

    async def _ask_for_acks(self, names: set[str], acked: set[str]) -> None:
        """Add the members in `names` that ack a query to `acked`, until all have or its time is up."""
        done = trio.Event()

        def listen(effect: QueryAcked | QueryAnswered | QueryFinished) -> None:
            if isinstance(effect, QueryAcked):
                acked.add(effect.origin)
            if isinstance(effect, QueryFinished) or names <= acked:
                done.set()

        try:
            token = self._queries.ask(QueryRequest(name=PING_QUERY, wants_acks=True), listen)
        except LocalProtocolError:
            return  # too many queries are running: only this answer is missing
        try:
            if names:
                await done.wait()
        finally:
            self._queries.forget(token)

    def _report(self, member: SerfMember, counts: Sequence[int], acked: set[str]) -> PeerReport:
        symptoms, now = self._driver.symptoms, self._driver.now()
        heard = symptoms.datagrams.get(member.address)
        elsewhere = symptoms.elsewhere.get(member.name)
        tries, small, full, stream = counts
        return PeerReport(
            name=member.name,
            address=member.address,
            tries=tries,
            small=small,
            full=full,
            stream=stream,
            query_acked=member.name in acked,
            heard=None if heard is None else now - heard,
            elsewhere=elsewhere[0] if elsewhere else None,
            refusal=self._driver.destinations.refusal(member.address),
        )

    def _observations(self, reports: Sequence[PeerReport], alive: int) -> Observations:
        driver, symptoms, now = self._driver, self._driver.symptoms, self._driver.now()
        symptoms.prune(now)
        config = driver.node.config.swim
        return Observations(
            name=driver.node.name,
            address=driver.node.members()[0].address,
            now=now,
            running=now - symptoms.since,
            peers=reports,
            alive_peers=alive,
            streams_from=dict(symptoms.streams),
            push_pull_interval=push_pull_delay(config.push_pull_interval, alive + 1),
            probe_interval=config.probe_interval,
            probe_timeout=config.probe_timeout,
            packet_bytes=config.packet_budget,
            complaints=symptoms.complaints,
            conflicts=symptoms.conflicts,
            delays=symptoms.delays,
            is_encrypted=driver.is_encrypted,
        )
