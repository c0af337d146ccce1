"""What a visitor of a site sees."""

import json
import urllib.request

from tests.containers.engine import Site

ENOUGH = 20
"""So many requests in a row meet each of a few servers."""


def get(port: int, path: str = "/") -> dict[str, object]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return json.loads(answer.read())


def serving(port: int) -> set[str]:
    """Return which containers answer a few requests; none is retried, none may fail."""
    return {str(get(port)["host"]) for _ in range(ENOUGH)}


def is_served_by(site: Site, expected: set[str], port: int = 0) -> bool:
    try:
        return serving(port or site.port()) == expected
    except OSError:
        return False


def names(site: Site) -> set[str]:
    return {container.id for container in site.containers("web")}
