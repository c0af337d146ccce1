import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.serf.pattern import MAX_PATTERN_CHARS, anchored


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
        ("[", "missing ]"),
        (")", "unexpected )"),
        (r"(a)\1", r"invalid escape sequence: \1"),
        ("(?=a)", "invalid perl operator: (?="),
        ("x{1,1001}", "invalid repetition size: {1,1001}"),
        ("a**", "bad repetition operator: **"),
        ("a.\udcff", "not UTF-8"),
        (r"(?:\pL?.?){400}" * 3, "pattern too large"),
        ("a" * (MAX_PATTERN_CHARS + 1), f"pattern of {MAX_PATTERN_CHARS + 1} characters"),
    ],
)
def test_broken_patterns_are_refused_with_the_reason(pattern, reason):
    with pytest.raises(ValueError, match=re.escape(reason)):
        anchored(pattern)


def test_a_pattern_of_exactly_the_limit_is_taken():
    assert anchored("a" * MAX_PATTERN_CHARS)("a" * MAX_PATTERN_CHARS)


def test_a_byte_that_is_not_utf_8_is_one_character():
    assert anchored("a.b")("a\udcffb")
    assert not anchored("a.b")("a\udcff\udcfeb")


@pytest.mark.parametrize(
    "pattern",
    [".*.*.*.*x", "(a)*(a)*(a)*b", "(a|aa)*b", "(?:a?){500}b", "(a+)+b", "(?:.{0,99}){4}b", "(?:a|a){30}b"],
)
def test_the_time_of_a_match_grows_with_the_value_and_no_faster(pattern):
    matches = anchored(pattern)
    assert not matches("a" * 2000)  # each of them takes a backtracking matcher longer than a test may last


@given(st.text(alphabet="ab(){}[]*+?|\\^$.:=!P<>#1,i-", max_size=40))
def test_any_pattern_is_usable_or_a_value_error(pattern):
    with suppress(ValueError):
        anchored(pattern)("aab")
