"""A Serf-compatible SWIM + Lifeguard membership agent.

The package is layered: ``wire`` (bytes), ``swim`` (membership), ``serf`` (Serf's layer) are pure and
sans-I/O; ``agent`` drives them with Trio; ``ipc`` and ``cli`` talk to a running agent.
"""

__version__ = "0.1.0"
