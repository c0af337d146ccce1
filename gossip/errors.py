"""The exceptions of the project, and the system's in our wording.

Two families follow h11: a `LocalProtocolError` is the caller's bug, a `RemoteProtocolError` is a peer's
fault. `ConfigError` is a person's mistake and becomes one line and exit code 2; `CommandFailedError` is
what could not be done on the command line: one line and exit code 1.
"""


class GossipError(Exception):
    """Base of everything that this project raises on purpose."""


class LocalProtocolError(GossipError):
    """This program misused the core; state is unchanged. Seeing one in a log means a bug."""


class RemoteProtocolError(GossipError):
    """A peer sent bytes that break the protocol; no state changed. Count it, log it, drop it."""


class ConfigError(GossipError):
    """A flag, a file or a value given by a person is wrong; the text says which and what to do."""


class CommandFailedError(GossipError):
    """What a person asked for was not done; the text is one line for that person. Exit code 1."""


def os_reason(error: OSError) -> str:
    """Return why the system refused, as the end of a sentence."""
    return (error.strerror or str(error)).lower()
