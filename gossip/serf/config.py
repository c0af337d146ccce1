"""Parameters of Serf's layer (Serf `config.go`). All times are seconds."""

from msgspec import Struct

from gossip.swim.config import SwimConfig


class SerfConfig(Struct, frozen=True, kw_only=True):
    """Serf's parameters on top of SWIM's; the defaults are Serf's."""

    swim: SwimConfig = SwimConfig()
    broadcast_timeout: float = 5.0
    leave_propagate_delay: float = 1.0
    reap_interval: float = 15.0
    leave_recheck_interval: float = 15.0  # re-send the leave intent to members stuck in `leaving`
    reconnect_interval: float = 30.0  # mean time between attempts to reach failed members
    rejoin_interval: float = 10.0  # longest pause between rounds of the search for missing members
    reconnect_timeout: float = 86_400.0
    tombstone_timeout: float = 86_400.0
    lost_timeout: float = 604_800.0  # how long to look for a member that was erased while failed
    recent_intent_timeout: float = 300.0
    flap_timeout: float = 60.0  # a failed member that is back sooner has flapped
    user_event_size_limit: int = 512
    query_size_limit: int = 1024
    query_response_size_limit: int = 1024
    buffered_times: int = 512  # distinct Lamport times of events, and of queries, kept for de-duplication
    buffered_messages: int = 32_768  # events, and queries, kept in all
    buffered_bytes: int = 4 * 2**20  # names and payloads of buffered events: 8,000 of our longest
    max_queue_depth: int = 4096  # of each of the three broadcast queues
    queue_depth_warning: int = 128  # broadcasts in a queue; from this depth it is reported
    queue_check_interval: float = 30.0  # between two checks of the queues' depths
    disable_coordinates: bool = False  # neither measure round trips nor report a coordinate
    max_recent_intents: int = 4096  # about members that are not known yet
