"""The two programs, by name."""

import gossip.cli.main
import lb.cli

PROGRAMS = {"gossip": gossip.cli.main, "gossip-lb": lb.cli}
