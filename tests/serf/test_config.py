from gossip.serf.config import SerfConfig
from gossip.swim.config import SwimConfig


def test_the_defaults_are_serfs():
    config = SerfConfig()
    assert config.swim == SwimConfig.lan()
    assert (config.broadcast_timeout, config.leave_propagate_delay) == (5.0, 1.0)
    assert (config.reap_interval, config.reconnect_interval) == (15.0, 30.0)
    assert (config.reconnect_timeout, config.tombstone_timeout) == (86_400.0, 86_400.0)
    assert (config.recent_intent_timeout, config.flap_timeout) == (300.0, 60.0)
    assert (config.queue_check_interval, config.queue_depth_warning) == (30.0, 128)
    assert config.user_event_size_limit == 512
    assert (config.buffered_times, config.max_queue_depth) == (512, 4096)
