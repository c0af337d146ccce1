"""A path among the settings that cannot be used: is it the path, which a person must mend, or the machine?

A missing directory, a file of another kind or missing rights stay until somebody changes them: the agent ends
with exit code 2, after which a supervisor does not start it again. A full disk or another agent may go away.
"""

import errno

from gossip.agent.transport import StartError
from gossip.errors import ConfigError

_FAULTS_OF_THE_PATH = frozenset(
    (
        *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL),
        *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENXIO),
        None,  # Python's own, such as a path that is too long for a socket
    )
)


def path_error(text: str, error: OSError) -> ConfigError | StartError:
    """Return the error that says `text` about a path, because of which the system gave `error`."""
    return ConfigError(text) if error.errno in _FAULTS_OF_THE_PATH else StartError(text)
