"""The part of HTTP/1.1 that the demonstration needs: GET without a body, answers with a Content-Length.

Pure, and strict: anything else is an error, because the purpose of the load generator is to notice errors.
"""

from msgspec import Struct

END_OF_HEAD = b"\r\n\r\n"
MAX_HEAD_BYTES = 8192
MAX_BODY_BYTES = 65536


class HttpError(Exception):
    """The other side does not speak the expected HTTP."""


class Answer(Struct, frozen=True):
    """The head of an answer."""

    status: int
    length: int
    closes: bool  # the server closes the connection after this answer
    server: str  # the server's name, "" if the balancer itself answered


def make_request(host: str, *, closes: bool) -> bytes:
    """Return a GET of ``/``; `closes` asks the server to close the connection afterwards."""
    connection = "Connection: close\r\n" if closes else ""
    return f"GET / HTTP/1.1\r\nHost: {host}\r\n{connection}\r\n".encode()


def make_answer(body: bytes, server: str, *, closes: bool) -> bytes:
    """Return a complete answer with status 200."""
    connection = "Connection: close\r\n" if closes else ""
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
        f"X-Served-By: {server}\r\n{connection}\r\n"
    )
    return head.encode() + body


def parse_answer(head: bytes) -> Answer:
    """Read the head of an answer, without the empty line.

    Raises:
        HttpError: it is not one, or has no usable Content-Length.
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdecimal():
        raise HttpError(f"not an answer: {first[:40]!r}")
    headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
        raise HttpError(f"unusable content length {length[:40]!r}")
    closes = headers.get("connection", "").lower() == "close"
    return Answer(int(words[1]), int(length), closes, headers.get("x-served-by", ""))
