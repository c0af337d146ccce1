"""Hosts that vanish in silence: run in a network namespace of its own, as `unshare -n python -m … DIRECTORY`.

HAProxy, its servers and the load share the namespace; packets to and from a server's address are dropped.
Prints one line of JSON: what became of the requests.
"""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from random import Random

import trio

from gossip.serf.members import MemberStatus
from lb.demo.load import Load, Target
from lb.demo.web import WebServer
from lb.policy.plan import MemberFact
from tests.real_haproxy import HOST, Site, eventually

HOSTS, VANISHING = 20, 4
RATE = 300.0
ANSWER_DELAY = 0.1
"""Seconds; long enough that each host has requests in flight when it vanishes."""
WARM_UP, AFTERMATH = 3.0, 12.0
PORT = 8000


def address(number: int) -> str:
    return f"127.90.0.{number}"


def drop(host: str) -> None:
    """Let nothing through to `host` and from it, without a refusal."""
    for chain, side in (("INPUT", "-d"), ("OUTPUT", "-s")):
        subprocess.run(["iptables", "-A", chain, side, host, "-j", "DROP"], check=True)


async def perform(directory: Path) -> dict[str, object]:
    await trio.run_process(["ip", "link", "set", "lo", "up"])
    site = Site(directory)
    numbers = range(1, HOSTS + 1)
    facts = [
        MemberFact(f"h{n}", MemberStatus.ALIVE, address(n), {"role": "backend", "port": str(PORT)})
        for n in numbers
    ]
    load = Load(Target(HOST, site.port))
    async with trio.open_nursery() as nursery:
        for n in numbers:
            await nursery.start(partial(WebServer(f"h{n}", ANSWER_DELAY).run, address(n), PORT))
        async with site.running(site.render(facts)):
            nursery.start_soon(load.run_open_loop, RATE, 0.5, Random(4))
            await trio.sleep(WARM_UP)
            before = load.tally.slowest
            for n in numbers[:VANISHING]:
                await trio.to_thread.run_sync(drop, address(n))
            await trio.sleep(AFTERMATH)
            load.stop()
            tally = load.tally
            await eventually(lambda: tally.sent == tally.answered + tally.failed, 60)
        nursery.cancel_scope.cancel()
    return {
        "sent": tally.sent,
        "failures": dict(tally.failures),
        "slowest": round(tally.slowest, 3),
        "slowest_before": round(before, 3),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(trio.run(perform, Path(sys.argv[1]))) + "\n")
