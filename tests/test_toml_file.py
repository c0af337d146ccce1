import os

import pytest

from gossip.errors import ConfigError
from gossip.toml_file import MAX_FILE_BYTES, MAX_KEY_PARTS, parse_toml, read_bounded, read_toml


def refusal(read, *args):
    with pytest.raises(ConfigError) as caught:
        read(*args)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    assert len(text) < 300
    return text


def test_a_table_is_read(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text("a = 1\n[b]\nc = 'ü'", "utf-8")
    assert read_toml(path) == {"a": 1, "b": {"c": "ü"}}


def test_a_key_of_as_many_parts_as_are_allowed_is_taken():
    table = parse_toml(".".join(["a"] * MAX_KEY_PARTS) + " = 1", "x")
    for _ in range(MAX_KEY_PARTS):
        table = table["a"]
    assert table == 1


@pytest.mark.parametrize(
    "text", ["a" * 1_000_000, "a." * 60 + "b" * 900_000, '"' * 500_000, "a.b c" * 200_000]
)
def test_the_look_for_deep_keys_takes_linear_time(text):
    with pytest.raises(ConfigError):
        parse_toml(text, "x")


def test_a_file_of_the_longest_size_is_read_and_one_more_byte_is_too_much(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(bytes(MAX_FILE_BYTES))
    assert len(read_bounded(path, "file")) == MAX_FILE_BYTES
    path.write_bytes(bytes(MAX_FILE_BYTES + 1))
    assert refusal(read_bounded, path, "file") == f"cannot read file {path}: longer than 1048576 bytes"


def test_what_is_no_regular_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/zero", tmp_path / "pipe"):
        assert refusal(read_bounded, path, "file") == f"cannot read file {path}: not a regular file"
    assert refusal(read_bounded, tmp_path, "file") == f"cannot read file {tmp_path}: is a directory"


@pytest.mark.parametrize(
    ("path", "reason"), [("/none", "no such file or directory"), ("a\0b", "a null byte in the path")]
)
def test_what_cannot_be_opened_says_why(path, reason):
    assert refusal(read_bounded, path, "file").endswith(reason)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a = ", "invalid value (at end of document)"),
        ("a = " + "[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ("a = " + "{a=" * 5_000 + "1" + "}" * 5_000, "nested too deeply"),
        (".".join(["a"] * 200_000) + " = 1", "nested too deeply"),
        ("a = {" + " . ".join(["'a b'"] * 65) + " = 1}", "nested too deeply"),
        ("a = " + "9" * 5_000, "a number has too many digits"),
    ],
)
def test_what_is_not_toml_is_one_line(text, reason):
    assert refusal(parse_toml, text, "x.toml") == f"x.toml is not valid TOML: {reason}"
