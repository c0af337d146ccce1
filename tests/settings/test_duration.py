import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.settings.duration import MAX_SECONDS, Seconds, parse_duration


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (5, 5.0),
        (0.25, 0.25),
        ("5", 5.0),
        ("5s", 5.0),
        ("1m30s", 90.0),
        ("250ms", 0.25),
        ("1h0m0.5s", 3600.5),
        ("100us", 1e-4),
        ("0", 0.0),
        (MAX_SECONDS, MAX_SECONDS),
    ],
)
def test_numbers_and_go_notation_are_durations(value, seconds):
    assert parse_duration(value) == pytest.approx(seconds)
    assert type(parse_duration(value)) is Seconds


@pytest.mark.parametrize("value", ["", "s", "5x", "5s!", "1m 30s", "-5s", -1, "nan", "inf", MAX_SECONDS + 1])
def test_what_is_not_a_duration_is_refused(value):
    with pytest.raises(ValueError, match="duration"):
        parse_duration(value)


@pytest.mark.parametrize(
    "text", ["9" * 100_000 + "x", "1" * 50_000 + "." + "1" * 50_000, "1m" * 50_000 + "x"]
)
@pytest.mark.timeout(5)
def test_a_long_text_is_refused_at_once(text):
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize("value", [None, True, [], {}])
def test_a_value_of_another_type_is_refused(value):
    with pytest.raises(TypeError, match="expected a duration"):
        parse_duration(value)


@given(st.text())
def test_any_text_is_a_duration_or_a_value_error(text):
    try:
        assert 0 <= parse_duration(text) <= MAX_SECONDS
    except ValueError as error:
        assert "duration" in str(error)  # noqa: PT017 - either outcome is right
