import logging

import trio

from gossip.agent.ipc_streams import QUEUED_RECORDS, Monitor, Subscription
from gossip.agent.log import LogRing
from gossip.ipc.bodies import LogLine


async def pumped(subscription):
    """Let `subscription` write for a moment and return what it wrote."""
    written = []

    async def write(data):
        await trio.lowlevel.checkpoint()
        written.append(data)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(subscription.pump, write)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    return written


async def test_a_queue_holds_its_limit_and_drops_one_more():
    subscription = Subscription(1)
    for _ in range(QUEUED_RECORDS):
        subscription.offer(LogLine("x"))
    assert subscription.dropped == 0
    subscription.offer(LogLine("x"))
    assert subscription.dropped == 1
    assert len(await pumped(subscription)) == QUEUED_RECORDS


async def test_a_closed_subscription_takes_and_writes_nothing():
    subscription = Subscription(1)
    subscription.offer(LogLine("x"))
    subscription.close()
    subscription.offer(LogLine("y"))
    assert await pumped(subscription) == []
    assert subscription.dropped == 0


async def test_a_monitor_closed_in_the_middle_of_the_past_stops_there():
    with LogRing("INFO") as ring:
        for number in range(3):
            logging.getLogger("gossip.agent").info("line %d", number)
        monitor = Monitor(1, ring, "INFO")
        written = []

        async def write(data):
            await trio.lowlevel.checkpoint()
            written.append(data)
            monitor.close()

        await monitor.pump(write)
    assert len(written) == 1


async def test_a_line_logged_after_trio_ended_is_dropped():
    with LogRing("INFO") as ring:
        monitor = Monitor(1, ring, "INFO")

        class Ended:
            def run_sync_soon(self, *_args):
                raise trio.RunFinishedError

        monitor._trio = Ended()
        await trio.to_thread.run_sync(monitor._hear, 20, "late")
        assert await pumped(monitor) == []
        monitor.close()
