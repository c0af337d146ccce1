"""The paths of CONTRIBUTING.md: short, through functions that exist, and into no file twice."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_HOPS = 7


def read_paths(text: str) -> dict[str, list[str]]:
    """Return the hops of each path in the section \"Paths through the code\", by its heading."""
    section = re.search(r"^## Paths through the code\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert section is not None
    found = re.findall(r"^### (.+?)\n.*?^```\n(.*?)^```", section[1], re.DOTALL | re.MULTILINE)
    return {title: hops.split() for title, hops in found}


PATHS = read_paths((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))


def defines(source: str, qualified: str) -> bool:
    """Tell whether a module defines a function, or a method given as Class.method."""
    body: list[ast.stmt] = ast.parse(source).body
    *classes, name = qualified.split(".")
    for class_name in classes:
        body = [
            inner
            for node in body
            if isinstance(node, ast.ClassDef) and node.name == class_name
            for inner in node.body
        ]
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name for node in body
    )


def test_the_paths_are_found():
    assert set(PATHS) == {
        "A suspicion rule",
        "Wire of a ping",
        "An alive changes state",
        "A graceful leave",
        "A datagram becomes a haproxy.cfg",
    }


@pytest.mark.parametrize("title", PATHS)
def test_a_path_has_at_most_seven_hops_and_enters_no_file_twice(title):
    files = [hop.split(":")[0] for hop in PATHS[title]]
    assert 2 <= len(files) <= MAX_HOPS
    assert len(set(files)) == len(files)


@pytest.mark.parametrize("hop", sorted({hop for hops in PATHS.values() for hop in hops}))
def test_a_hop_exists(hop):
    file, name = hop.split(":")
    assert defines((ROOT / file).read_text(encoding="utf-8"), name)


def test_a_name_that_does_not_exist_is_noticed():
    source = "class A:\n    def f(self): ...\n\ndef g(): ...\n"
    assert defines(source, "A.f")
    assert defines(source, "g")
    for missing in ("f", "A", "A.g", "B.f"):
        assert not defines(source, missing)
