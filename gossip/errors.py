"""The project's exceptions, and our wording for the system's.

Two families follow h11: a `LocalProtocolError` is the caller's bug, a `RemoteProtocolError` is a peer's
fault. `ConfigError` is a person's mistake and becomes one line and exit code 2; `CommandFailedError` is
a failed command: one line and exit code 1.
"""


class GossipError(Exception):
    """Base of all exceptions that this project raises on purpose."""


class LocalProtocolError(GossipError):
    """This program misused the core; state is unchanged. One of these in a log means a bug."""


class RemoteProtocolError(GossipError):
    """A peer sent bytes that break the protocol; no state changed. Count it, log it, drop it."""


class ConfigError(GossipError):
    """A flag, a file or a value given by a person is wrong; the text names it and says what to do."""


class CommandFailedError(GossipError):
    """A command of a person failed; the text is one line for that person. Exit code 1."""


def os_reason(error: OSError) -> str:
    """Return the system's reason for an error, as the end of a sentence."""
    return (error.strerror or str(error)).lower()
