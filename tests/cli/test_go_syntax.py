import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.cli.go_syntax import go_syntax


# Recorded from `serf monitor` 0.9.4.
@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("user", '"user"'),
        (2, "2"),
        (127, "127"),
        (128, "0x80"),
        (-1, "-1"),
        (True, "true"),
        (False, "false"),
        (None, "<nil>"),
        (b"hello", "[]byte{0x68, 0x65, 0x6c, 0x6c, 0x6f}"),
        (
            [{"Port": 7946, "Name": "a1", "Addr": b"\x7f\x02\x00\x01", "Tags": {"z": "1", "a": "1"}}],
            '[]interface {}{map[interface {}]interface {}{"Addr":[]uint8{0x7f, 0x2, 0x0, 0x1}, "Name":"a1", '
            '"Port":0x1f0a, "Tags":map[interface {}]interface {}{"a":"1", "z":"1"}}}',
        ),
        ([None], "[]interface {}{interface {}(nil)}"),
        (1.5, "1.5"),
        ('a"b\\c\n', '"a\\"b\\\\c\\n"'),
    ],
)
def test_values_are_written_as_go_writes_them(value, text):
    assert go_syntax(value) == text


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(VALUES)
def test_whatever_the_value_it_stays_on_one_printable_line(value):
    assert go_syntax(value).isprintable()
