"""What a visitor of a site sees."""

import json
import urllib.request
from http.client import HTTPException

from tests.containers.engine import Site

REQUESTS_PER_SERVER = 3
"""Without any other server among so many answers, no other one serves."""
PATIENCE = 15
"""So many requests per server meet each one, although others take requests in between."""


def get(port: int, path: str = "/") -> dict[str, object]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return json.loads(answer.read())


def is_served_by(site: Site, expected: set[str], port: int = 0) -> bool:
    """Whether all of `expected` answer, and nobody else; a request that fails means no."""
    port = port or site.port()
    seen: set[str] = set()
    for count in range(PATIENCE * len(expected)):
        try:
            seen.add(str(get(port)["host"]))
        except (OSError, HTTPException):
            return False
        if not seen <= expected:
            return False
        if seen == expected and count >= REQUESTS_PER_SERVER * len(expected):
            return True
    return False


def names(site: Site) -> set[str]:
    return {container.id for container in site.containers("web")}
