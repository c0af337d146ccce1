"""The pure parts of the mutation check; the runs themselves are started by hand."""

from random import Random

import pytest

from benchmarks.mutation.bugs import BUGS, Bug, BugGoneError
from benchmarks.mutation.equivalents import EQUIVALENTS
from benchmarks.mutation.journal import Finding, Journal
from benchmarks.mutation.mutants import Candidate, can_matter, changed_lines, in_random_order
from benchmarks.mutation.table import deliberate_lines, random_lines, share
from benchmarks.mutation.tree import ROOT
from benchmarks.mutation.witness import failed_tests, is_named, last_line

PYTEST_OUTPUT = """\
.F.
=== short test summary info ===
FAILED tests/swim/test_view.py::test_one - assert 1 == 2
FAILED tests/swim/test_view.py::test_many[a b] - ValueError: x
FAILED tests/swim/test_view.py::test_many[c] - ValueError: x
ERROR tests/serf/test_node.py - ImportError
2 failed
"""


def finding(name="gossip/swim/view.py:1:2 op 0", before="a < b", after="a <= b", **caught):
    return Finding("abc", name, before, after, caught, 1.0)


# --- deliberate bugs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_each_deliberate_bug_still_finds_its_place_and_leaves_python(bug):
    text = (ROOT / bug.module).read_text()
    mutant = bug.put_into(text)
    compile(mutant, bug.module, "exec")
    assert can_matter(text, mutant)


def test_at_least_eight_bugs_each_with_a_name_of_its_own():
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 8


@pytest.mark.parametrize(("text", "times"), [("x = 2", 0), ("x = 1; x = 1", 2)])
def test_a_bug_whose_place_has_changed_says_so(text, times):
    bug = Bug("one more", "some/module.py", "x = 1", "x = 2")
    with pytest.raises(BugGoneError, match=rf"'one more' into some/module.py.*{times} times"):
        bug.put_into(text)


# --- equivalent mutants -----------------------------------------------------------------------------------


def test_each_equivalent_is_about_a_line_that_still_exists():
    modules = [path for package in ("gossip", "lb") for path in (ROOT / package).rglob("*.py")]
    text = "\n".join(" ".join(path.read_text().split()) for path in modules)
    assert [e.before for e in EQUIVALENTS if " ".join(e.before.split()) not in text] == []


# --- random mutants ---------------------------------------------------------------------------------------


def candidates(*places_and_counts):
    return [
        Candidate("m.py", (line, 0), (line, 1), "op", number)
        for line, count in places_and_counts
        for number in range(count)
    ]


def test_each_place_has_its_turn_before_any_has_a_second():
    drawn = list(in_random_order(candidates((1, 12), (2, 1), (3, 2)), Random(7)))
    assert {c.start[0] for c in drawn[:3]} == {1, 2, 3}
    assert {c.start[0] for c in drawn[3:5]} == {1, 3}
    assert sorted(drawn) == candidates((1, 12), (2, 1), (3, 2))


def test_the_same_seed_draws_the_same_and_another_draws_others():
    found = candidates(*((line, 3) for line in range(50)))
    first, again, other = (list(in_random_order(found, Random(seed))) for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(
    ("original", "mutant"),
    [
        ("def f(x: int | None) -> A | B: pass", "def f(x: int - None) -> A * B: pass"),
        ("x: int | None = 1", "x: int & None = 1"),
        ("Message = Ping | Ack | Nack", "Message = Ping + Ack | Nack"),
        ("if TYPE_CHECKING:\n    import a", "if not TYPE_CHECKING:\n    import a"),
    ],
)
def test_what_no_run_looks_at_cannot_matter(original, mutant):
    assert not can_matter(original, mutant)


@pytest.mark.parametrize(
    ("original", "mutant"),
    [
        ("x = a | b", "x = a & b"),
        ("LIMIT = A | B", "LIMIT = A & B"),
        ("x: int = 1", "x: int = 2"),
        ("class A:\n    @property\n    def f(self): pass", "class A:\n    def f(self): pass"),
        ("x = 1", "x = = 1"),
    ],
)
def test_what_runs_can_matter(original, mutant):
    assert can_matter(original, mutant)


def test_only_lines_that_differ_are_shown():
    assert changed_lines("a\n  b\nc\n", "a\n  d\nc\n") == ("b", "d")
    assert changed_lines("a\n  b\nc\n", "a\nc\n") == ("b", "")


# --- what they say ----------------------------------------------------------------------------------------


def test_failed_tests_are_named_once_however_many_cases_they_have():
    assert failed_tests(PYTEST_OUTPUT) == (
        "tests/swim/test_view.py::test_one",
        "tests/swim/test_view.py::test_many",
        "tests/serf/test_node.py",
    )


def test_no_failure_in_the_summary_is_no_name():
    assert failed_tests("3 passed") == ()


@pytest.mark.parametrize(
    ("by", "named"),
    [
        ("tests/a::b", True),
        ("seed 3: x", True),
        ("pytest's exit code 3", False),
        ("no end within 9 s", False),
    ],
)
def test_tests_and_seeds_are_names_and_what_may_be_the_machines_doing_is_none(by, named):
    assert is_named(by) is named


def test_the_last_line_is_the_last_that_says_something():
    assert last_line("Traceback\nValueError: x\n\n") == "ValueError: x"
    assert last_line("") == "no output"


# --- journal ----------------------------------------------------------------------------------------------


def test_findings_outlive_the_run_for_their_commit_alone(tmp_path):
    path = tmp_path / "journal"
    known = finding(swim=("t",), serf=())
    Journal(path).add(known)
    found = Journal(path).get("abc", known.name)
    assert found is not None
    assert found.killer == "swim"
    assert Journal(path).get("abd", known.name) is None


def test_without_a_file_findings_are_kept_in_memory():
    journal = Journal(None)
    journal.add(finding())
    assert journal.get("abc", finding().name) == finding()


# --- tables -----------------------------------------------------------------------------------------------


def test_a_deliberate_bug_shows_how_many_tests_caught_it_and_what_the_swarm_said():
    rows = list(
        deliberate_lines(
            [
                finding("forget", core=("tests/a", "tests/b"), swarm=("seed 3: the core agrees",)),
                finding("skip", core=(), swarm=()),
                finding("loop", core=("no end within 9 s",), swarm=()),
            ],
            ("core",),
            "swarm",
        )
    )
    assert rows[2:] == [
        "| forget | 2 | `tests/a` | seed 3: the core agrees |",
        "| skip | 0 | **none** | **nothing** |",
        "| loop | no end within 9 s | **none** | **nothing** |",
    ]


def test_survivors_are_listed_and_counted_as_holes():
    rows = list(
        random_lines([finding(swim=("tests/t",)), finding("gossip/swim/view.py:3:2 op 0", "a | b", swim=())])
    )
    assert "| swim | 1 |" in rows
    assert "| nobody: a hole | 1 |" in rows
    assert "1 of 2 mutants killed (50.0 %)." in rows
    assert "| view.py | 2 | 1 |" in rows
    assert "| view.py:3 | `a \\| b` | `a <= b` | **hole** |" in rows
    assert rows[-1] == "| view.py:1 | `a < b` | `a <= b` | `tests/t` |"


def test_a_survivor_with_a_reason_is_no_hole():
    known = EQUIVALENTS[0]
    rows = list(random_lines([finding(before=known.before, after=known.after, swim=())]))
    assert "| nobody: equivalent | 1 |" in rows
    assert "| nobody: a hole | 0 |" in rows
    assert any(known.why in row for row in rows)


def test_no_survivor_is_no_table_of_survivors():
    assert not any("survivor" in row for row in random_lines([finding(swim=("tests/t",))]))


def test_equivalents_are_not_counted_as_killed():
    assert share(10, 2, 1) == "8 of 10 mutants killed (80.0 %); of the 9 that are not equivalent 88.9 %."


def test_where_all_are_equivalent_there_is_nothing_to_divide_by():
    assert share(2, 2, 2) == "0 of 2 mutants killed (0.0 %)."
