"""Turns the agent's settings into parameters of the protocol core."""

import msgspec

from gossip.agent.config import AgentConfig
from gossip.serf.config import SerfConfig
from gossip.swim.config import SwimConfig


def serf_config(config: AgentConfig, packet_overhead: int) -> SerfConfig:
    """Return the core's parameters: the profile's, and those that were set individually.

    Args:
        config: The agent's settings.
        packet_overhead: Bytes that encryption and label add to a datagram.
    """
    swim: SwimConfig = getattr(SwimConfig, config.profile)()
    return SerfConfig(
        swim=msgspec.structs.replace(swim, packet_overhead=packet_overhead),
        broadcast_timeout=config.broadcast_timeout,
        reconnect_interval=config.reconnect_interval,
        reconnect_timeout=config.reconnect_timeout,
        tombstone_timeout=config.tombstone_timeout,
        disable_coordinates=config.disable_coordinates,
        user_event_size_limit=config.user_event_size_limit,
        query_size_limit=config.query_size_limit,
        query_response_size_limit=config.query_response_size_limit,
    )
