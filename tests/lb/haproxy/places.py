"""Places of servers, in a word."""

from lb.haproxy.config_text import ServerName, ServerPlace


def place(name: str, host: str | None, port: int, backend: str = "web") -> ServerPlace:
    """Return where the server `name` is."""
    return ServerPlace(ServerName(backend, name), host, port)
