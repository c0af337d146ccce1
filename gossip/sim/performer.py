"""Performs the acts of a scenario in a cluster, and ends the acts that last."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, assert_never

from gossip.sim.acts import (
    AnyAct,
    Crash,
    ForceLeave,
    Heal,
    JoinAgain,
    Jump,
    Leave,
    Link,
    MassRestart,
    Move,
    Partition,
    Pause,
    Restart,
    SendEvent,
    SetTags,
    Slow,
)
from gossip.sim.cluster import WORLD
from gossip.sim.host import Stall
from gossip.sim.network import Conditions, Imposed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gossip.sim.cluster import Cluster
    from gossip.sim.host import Host
    from gossip.sim.scenario import Scenario

BLOCKED = Conditions(loss=1.0)


class Performer:
    """Performs acts at once."""

    def __init__(self, cluster: Cluster, scenario: Scenario) -> None:
        self._cluster = cluster
        self._scenario = scenario

    def perform(self, act: AnyAct) -> None:
        """Perform `act`; where it makes no sense (a crash of a host that is down), do nothing."""
        match act:
            case Partition() | Link():
                self._on_links(act)
            case Heal():
                self._cluster.note(WORLD, "all links heal")
                self._cluster.network.lift_all()
            case MassRestart():
                self._restart_all(act)
            case SetTags() | SendEvent() | ForceLeave() | Leave() | JoinAgain():
                self._command(act, self._cluster.hosts[act.node])
            case _:
                self._on_process(act, self._cluster.hosts[act.node])

    def end_all(self) -> None:
        """End every fault: of links, pauses and slowness."""
        cluster = self._cluster
        cluster.note(WORLD, "all faults end")
        cluster.network.lift_all()
        cluster.network.soften()
        for host in cluster.hosts.values():
            cluster.resume(host)
            if host.cost:
                cluster.slow_down(host, 0.0)

    def _on_process(self, act: Crash | Restart | Move | Pause | Slow | Jump, host: Host) -> None:
        cluster = self._cluster
        match act:
            case Crash():
                cluster.crash(host)
            case Restart():
                cluster.restart(host, snapshot=act.snapshot)
            case Move():
                other = cluster.hosts[act.to_address_of] if act.to_address_of else None
                cluster.move(host, address=other.address if other else None)
            case Pause():
                cluster.stall(host, Stall.ALL if act.freeze else Stall.IO)
                self._later(act.lasts, partial(self._resume, host, host.life))
            case Slow():
                cluster.slow_down(host, act.cost)
                self._later(act.lasts, partial(cluster.slow_down, host, 0.0))
            case Jump():
                cluster.jump(host, act.seconds)
            case _:
                assert_never(act)

    def _command(self, act: SetTags | SendEvent | ForceLeave | Leave | JoinAgain, host: Host) -> None:
        cluster = self._cluster
        match act:
            case SetTags():
                tags, shown = act.tags, f"announces tags {act.tags}"
                if cluster.command(host, lambda node, now: node.set_tags(tags, now), shown) is not None:
                    host.tags = tags
            case SendEvent():
                name, payload = act.name, act.payload.encode()
                cluster.command(
                    host,
                    lambda node, now: node.user_event(name, payload, coalesce=False, now=now),
                    f"sends event {name!r}",
                )
            case ForceLeave():
                about, prune = act.about, act.prune
                cluster.command(
                    host,
                    lambda node, now: node.force_leave(about, prune=prune, now=now),
                    f"declares that {about} has left" + (", and erases it" if prune else ""),
                )
            case Leave():
                cluster.leave(host, drain=act.drain)
            case JoinAgain():
                names = self._scenario.expand(act.to)
                cluster.join(host, names)
            case _:
                assert_never(act)

    def _on_links(self, act: Partition | Link) -> None:
        scenario = self._scenario
        if isinstance(act, Link):
            sources, targets = scenario.expand(act.sources), scenario.expand(act.targets)
            imposed = Imposed(act.conditions, sources, targets, both_ways=act.both_ways)
            what = f"links {_shown(sources)} to {_shown(targets)}: {_in_words(act.conditions)}"
        else:
            one = scenario.expand(act.one)
            other = scenario.expand(act.other) or tuple(n for n in scenario.names if n not in one)
            imposed = Imposed(BLOCKED, one, other, both_ways=not act.one_way)
            what = f"partition of {_shown(one)} {'to' if act.one_way else 'from'} {_shown(other)}"
        self._cluster.note(WORLD, f"begins: {what}")
        self._cluster.network.impose(imposed)
        self._later(act.lasts, partial(self._lift, imposed, what))

    def _restart_all(self, act: MassRestart) -> None:
        cluster = self._cluster
        hosts = [cluster.hosts[name] for name in self._scenario.expand(act.nodes)]
        for host in hosts:
            cluster.crash(host)
        for host in hosts:
            at = cluster.now + act.within * cluster.rng.random()
            cluster.schedule.at(at, partial(self._start_again, host, host.life, act.snapshot))

    def _start_again(self, host: Host, life: int, snapshot: bool) -> None:
        is_replaced = self._cluster.hosts[host.name] is not host  # the machine has moved since
        if host.life == life and host.node is None and not is_replaced:
            self._cluster.restart(host, snapshot=snapshot)

    def _resume(self, host: Host, life: int) -> None:
        if host.life == life:
            self._cluster.resume(host)

    def _lift(self, imposed: Imposed, what: str) -> None:
        self._cluster.note(WORLD, f"ends: {what}")
        self._cluster.network.lift(imposed)

    def _later(self, lasts: float, end: Callable[[], None]) -> None:
        if lasts:
            self._cluster.schedule.at(self._cluster.now + lasts, end)


def _shown(names: Sequence[str]) -> str:
    return ",".join(names) if len(names) <= 8 else f"{names[0]},{names[1]}..{names[-1]} ({len(names)})"


def _in_words(conditions: Conditions) -> str:
    changed = [
        f"{field}={getattr(conditions, field)}"
        for field in conditions.__struct_fields__
        if getattr(conditions, field) != getattr(Conditions(), field)
    ]
    return " ".join(changed) or "nothing"
