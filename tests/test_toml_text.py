"""What is written must be read back equal."""

import math
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.toml_text import toml_text

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.one_of(
    TEXT, st.booleans(), st.integers(-(2**62), 2**62), st.floats(allow_nan=False, allow_infinity=False)
)
KEYS = TEXT.filter(bool)
INLINE = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
TABLES = st.dictionaries(
    KEYS, INLINE | st.lists(st.dictionaries(KEYS, INLINE, max_size=3), max_size=3), max_size=4
)


@given(TABLES)
def test_what_is_written_is_read_back_equal(table):
    assert tomllib.loads(toml_text(table)) == table


def test_scalars_come_before_tables():
    text = toml_text({"inner": {"b": 1}, "many": [{"x": 1}, {"x": 2}], "a": "one"})
    assert text == 'a = "one"\n\n[inner]\nb = 1\n\n[[many]]\nx = 1\n\n[[many]]\nx = 2\n'


@pytest.mark.parametrize("value", [math.inf, math.nan, None, b"bytes"])
def test_what_toml_cannot_say_is_refused(value):
    with pytest.raises(ValueError, match="as TOML"):
        toml_text({"a": value})
