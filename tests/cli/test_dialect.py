import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.cli.dialect import SerfCommand


@click.command(cls=SerfCommand)
@click.option("--rpc-addr", default="")
@click.option("--tag", multiple=True)
@click.option("--detailed", is_flag=True)
@click.option("-v", "--verbose", is_flag=True)
@click.option("--record/--no-record", default=None)
@click.argument("rest", nargs=-1)
def command(**values):
    return values


def parsed(*words):
    return command.main(list(words), standalone_mode=False)


@pytest.mark.parametrize(
    "words",
    [
        ("--rpc-addr", "a:1"),
        ("--rpc-addr=a:1",),
        ("-rpc-addr", "a:1"),
        ("-rpc-addr=a:1",),
    ],
)
def test_a_value_may_follow_either_spelling_in_either_way(words):
    assert parsed(*words)["rpc_addr"] == "a:1"


def test_repeated_flags_keep_their_order():
    assert parsed("-tag", "a=1", "--tag=b=2", "-tag=c=3")["tag"] == ("a=1", "b=2", "c=3")


@pytest.mark.parametrize("word", ["-detailed", "--detailed", "-detailed=true", "--detailed=1", "-detailed=T"])
def test_a_switch_is_on(word):
    assert parsed(word)["detailed"]


@pytest.mark.parametrize("word", ["-detailed=false", "--detailed=0", "-detailed=F"])
def test_a_switch_may_be_turned_off(word):
    assert not parsed(word)["detailed"]


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ((), None),
        (("-record",), True),
        (("-record=false",), False),
        (("-no-record",), False),
        (("--no-record=f",), True),
        (("-record=false", "-record=true"), True),
        (("-record=true", "-record=false"), False),
    ],
)
def test_a_switch_with_an_opposite_may_be_off_on_and_not_given(words, value):
    assert parsed(*words)["record"] is value


def test_a_switch_is_on_or_off_and_nothing_else():
    with pytest.raises(click.UsageError, match="--detailed=maybe is neither true nor false"):
        parsed("-detailed=maybe")


def test_a_value_that_looks_like_a_flag_is_still_the_value():
    assert parsed("-rpc-addr", "-detailed") == parsed("--rpc-addr=-detailed")


def test_an_empty_value_is_a_value():
    assert parsed("-rpc-addr=", "x")["rest"] == ("x",)
    assert parsed("-rpc-addr", "", "x")["rest"] == ("x",)


def test_a_flag_whose_value_is_missing_is_named():
    with pytest.raises(click.UsageError, match="'--rpc-addr' requires an argument"):
        parsed("-rpc-addr")


def test_an_unknown_flag_is_named_in_full():
    with pytest.raises(click.NoSuchOption, match="--bogus"):
        parsed("-bogus=1")


def test_flags_of_one_letter_stay_what_they_are():
    assert parsed("-v")["verbose"]


def test_flags_may_come_after_arguments():
    values = parsed("node", "-detailed", "other")
    assert values["detailed"]
    assert values["rest"] == ("node", "other")


def test_after_two_dashes_nothing_is_a_flag():
    assert parsed("--", "-detailed", "--tag")["rest"] == ("-detailed", "--tag")


def test_a_lone_dash_is_an_argument():
    assert parsed("-")["rest"] == ("-",)


WORDS = st.text(alphabet="-=rpcadtg detailed", max_size=12) | st.sampled_from(
    ["--", "-tag", "-rpc-addr", "-detailed"]
)


@given(st.lists(WORDS, max_size=6))
def test_nothing_but_a_usage_error_escapes(words):
    try:
        values = parsed(*words)
    except click.UsageError:
        return
    assert values == 0 or set(values) == {"rpc_addr", "tag", "detailed", "verbose", "record", "rest"}
