"""The specification in docs/protocol: its examples are decoded, and every section that code cites exists."""

import re
from pathlib import Path

import msgpack
import pytest

from gossip.wire.codec import decode
from gossip.wire.keyring import Keyring
from gossip.wire.lzw import decompress
from gossip.wire.messages import PushPull, UserMessage
from gossip.wire.packet import unseal
from gossip.wire.serf_codec import decode_serf
from gossip.wire.stream import StreamReader

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted((ROOT / "docs/protocol").glob("*.md"))
VECTORS = "".join(path.read_text() for path in sorted((ROOT / "tests/vectors").glob("*.json")))
BLOCK = re.compile(r"^```hex (\w+)(.*)\n([^`]*?)((?:^=> .*\n)+)^```$", re.MULTILINE)
HEADING = re.compile(r"^##? (\d+(?:\.\d+)?)\.? ", re.MULTILINE)
CITATION = re.compile(r"serf-wire (?:section )?(\d[\d., and]*)")
SOURCES = [path for room in ("gossip", "lb", "tests") for path in sorted((ROOT / room).rglob("*.py"))]


def examples():
    """Yield every block of hex: document and place, kind, options, data, what is said of it."""
    for document in DOCUMENTS:
        for number, found in enumerate(BLOCK.finditer(document.read_text()), start=1):
            kind, options, data, said = found.groups()
            options = dict(option.split("=") for option in options.split())
            lines = [line.removeprefix("=> ") for line in said.splitlines()]
            yield pytest.param(kind, options, bytes.fromhex(data), lines, id=f"{document.stem} {number}")


def in_words(message):
    """Return what a document says of `message`: a message of Serf stands for the one that carries it."""
    if isinstance(message, UserMessage):
        return repr(decode_serf(message.payload))
    if isinstance(message, PushPull) and message.user_state:
        return repr([message.join, *message.nodes, decode_serf(message.user_state)])
    return repr(message)


def decoded(kind, options, data):
    keys = Keyring([bytes.fromhex(options["key"])]) if "key" in options else None
    label = options.get("label", "").encode()
    match kind:
        case "packet":
            return [in_words(decode(part)) for part in unseal(data, encryption=keys, label=label)]
        case "stream" | "reply":
            reader = StreamReader(encryption=keys, label=label, header=b"" if kind == "reply" else None)
            reader.receive_data(data)
            return [in_words(reader.next_event())]
        case "lzw":
            return [repr(decompress(data, 100))]
        case "ipc":
            unpacker = msgpack.Unpacker(raw=False)
            unpacker.feed(data)
            return [repr(item) for item in unpacker]


@pytest.mark.parametrize(("kind", "options", "data", "said"), list(examples()))
def test_an_example_means_what_the_document_says(kind, options, data, said):
    assert decoded(kind, options, data) == said
    assert data.hex() in VECTORS


def test_no_block_of_hex_escapes_the_test_above():
    blocks = sum(document.read_text().count("```hex") for document in DOCUMENTS)
    assert blocks == len(list(examples())) >= 25


def sections():
    return {number for document in DOCUMENTS for number in HEADING.findall(document.read_text())}


def cited(text):
    """Yield the numbers of the sections that `text` cites."""
    for citation in CITATION.findall(" ".join(text.split())):
        yield from re.findall(r"\d+(?:\.\d+)?", citation)


def test_every_section_that_a_docstring_cites_exists():
    known = sections()
    cites = {(str(path.relative_to(ROOT)), number) for path in SOURCES for number in cited(path.read_text())}
    assert len(cites) > 40
    assert {cite for cite in cites if cite[1] not in known} == set()


def test_citations_are_found_in_all_their_forms():
    text = "(serf-wire 1.2, 1.3) serf-wire section 7: x; (serf-wire 0.3 and\n6.1). Nine lives; serf-wire 4.1."
    assert list(cited(text)) == ["1.2", "1.3", "7", "0.3", "6.1", "4.1"]


def test_the_sections_stand_in_their_order_and_none_is_missing():
    for document in DOCUMENTS:
        if document.stem == "README":
            continue
        first, *rest = HEADING.findall(document.read_text())
        assert first == document.stem.partition("-")[0]
        assert rest == [f"{first}.{number}" for number in range(1, len(rest) + 1)]


def test_contributors_are_told_where_the_specification_is():
    assert "docs/protocol" in (ROOT / "CONTRIBUTING.md").read_text()


def test_the_wire_of_a_ping_names_things_that_exist():
    text = (ROOT / "docs/protocol/README.md").read_text().partition("## The wire of a ping")[2]
    hops = re.findall(r"`(gossip/[\w/]+\.py):(\w+)`", text)
    assert 6 <= len(hops) <= 8
    assert len({file for file, _ in hops}) == len(hops), "a file is entered twice"
    for file, name in hops:
        assert re.search(rf"^(class|def) {name}\b", (ROOT / file).read_text(), re.MULTILINE), (file, name)
