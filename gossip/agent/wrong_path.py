"""An unusable path among the settings: is it the path, which a person must fix, or the machine?

A missing directory, a file of the wrong kind or missing rights stay until somebody changes them: the agent
ends with exit code 2, after which a supervisor does not restart it. A full disk or another agent may go away.
"""

import errno

from gossip.agent.transport import StartError
from gossip.errors import ConfigError

_FAULTS_OF_THE_PATH = frozenset(
    (
        *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL),
        *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENXIO),
        None,  # Python's own error, such as for a path too long for a socket
    )
)


def path_error(text: str, error: OSError) -> ConfigError | StartError:
    """Return the error with `text` about a path, caused by the system's `error`."""
    return ConfigError(text) if error.errno in _FAULTS_OF_THE_PATH else StartError(text)
