import re
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.agent.pattern import MAX_PATTERN_CHARS, anchored

LONGEST_TAG = 500


@pytest.mark.parametrize(
    ("pattern", "value", "matches"),
    [
        ("web", "web", True),
        ("web", "web-1", False),
        ("web-.*", "web-1", True),
        ("w.b", "awebb", False),
        ("alive|failed", "failed", True),
        ("(?i)WEB", "web", True),
        ("(?i:W)eb", "web", True),
        ("a", "a\n", False),
        ("^web$", "web", True),
        (r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}", "10.0.0.1", True),
        ("[^]a]+", "bcd", True),
        ("(?P<name>w)eb", "web", True),
        (r"1\.5", "1x5", False),
        ("(ab)+", "abab", True),
        ("(a|b){2}", "ba", True),
        ("x{2}y?", "xx", True),
        ("", "", True),
        ("|".join(f"web-{n}" for n in range(30)), "web-29", True),
    ],
)
def test_patterns_match_the_whole_value(pattern, value, matches):
    assert anchored(pattern)(value) is matches


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(", "missing )"),
        ("[", "bad escape"),
        (")", "closes a group that is not open"),
        ("a\\", "is not understood from character 2 on"),
        (r"(a)\1", "is not understood from character 4 on"),
        ("(?=a)", "is not understood from character 1 on"),
        ("(?#x)a", "is not understood from character 1 on"),
        ("a(?i)b", "is not understood from character 2 on"),
        ("x{1,99999999999999999999}", "could take too long"),
        ("(a+)+", "could take too long"),
        ("(a|aa)*", "could take too long"),
        ("((a{1,9}){9})", "could take too long"),
        (".*" * 4, "could take too long"),
        ("a?" * 19, "could take too long"),
        ("(a|b){19}", "could take too long"),
        ("a**", "multiple repeat"),
        ("[[a]", "Possible nested set"),
        ("a" * (MAX_PATTERN_CHARS + 1), f"pattern of {MAX_PATTERN_CHARS + 1} characters"),
    ],
)
def test_patterns_that_are_broken_or_too_dear_are_refused(pattern, reason):
    with pytest.raises(ValueError, match=re.escape(reason)):
        anchored(pattern)


def test_a_pattern_of_exactly_the_limit_is_taken():
    assert anchored("a" * MAX_PATTERN_CHARS)("a" * MAX_PATTERN_CHARS)


@pytest.mark.parametrize("pattern", [".*.*.*x", "a?" * 18 + "a{18}x", "(a|a){18}x", "a{1,99}a{1,99}a{1,99}x"])
def test_the_dearest_patterns_allowed_end_soon_on_the_worst_value(pattern):
    matches = anchored(pattern)
    start = time.process_time()
    matches("a" * LONGEST_TAG)
    assert time.process_time() - start < 20  # measured: below 3 s; unbounded ones take years


@given(st.text(alphabet="ab(){}[]*+?|\\^$.:=!P<>#1,i-", max_size=40))
def test_any_pattern_is_usable_or_a_value_error(pattern):
    with suppress(ValueError):
        anchored(pattern)("aab")
