import io
import json
import logging
import re
import warnings

import pytest

from gossip.agent.log import (
    COMPLAINT_PERIOD,
    LEVELS,
    MAX_COMPLAINT_KEYS,
    MAX_TEXT,
    MAX_TRACEBACK,
    REMEMBERED_LINES,
    Complaints,
    JsonLines,
    Logfmt,
    LogRing,
    SerfLines,
    StderrHandler,
    level_name,
    logging_to_stderr,
)
from gossip.settings.duration import Seconds

log = logging.getLogger("gossip.agent")


def record(message="member joined", level=logging.INFO, exc_info=None, **extra):
    made = logging.LogRecord("gossip.agent", level, __file__, 1, message, None, exc_info)
    made.__dict__.update(extra)
    return made


def test_logfmt_quotes_what_is_not_one_plain_word():
    line = Logfmt().format(record(member="web-1", note='say "hi"', empty="", n=3))
    expected = (
        'level=info logger=gossip.agent msg="member joined" member=web-1 note="say \\"hi\\"" empty="" n=3'
    )
    assert re.fullmatch(r"ts=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z " + re.escape(expected), line)


@pytest.mark.parametrize("formatter", [Logfmt(), JsonLines(), SerfLines()])
@pytest.mark.parametrize("hostile", ["a\nb", "a\r\x1b[31m", "\udcff", "\u2028", "é=1"])
def test_hostile_text_stays_on_one_line_of_plain_characters(formatter, hostile):
    line = formatter.format(record(f"said {hostile}", member=hostile))
    assert line.isprintable()
    assert len(line.splitlines()) == 1


def test_json_lines_keep_numbers_as_numbers():
    fields = json.loads(JsonLines().format(record(level=logging.ERROR, n=3, f=0.5, who=ValueError("x"))))
    assert (fields["level"], fields["n"], fields["f"], fields["who"]) == ("error", 3, 0.5, "x")
    assert fields["msg"] == "member joined"


@pytest.mark.parametrize(
    ("seconds", "text", "number"), [(30.0, "30s", 30.0), (0.1234567, "0.123s", 0.123), (0.0, "0s", 0.0)]
)
def test_a_duration_is_a_number_of_seconds_in_json_and_shows_its_unit_elsewhere(seconds, text, number):
    took = record(took=Seconds(seconds))
    assert f" took={text}" in Logfmt().format(took)
    assert f" took={text}" in SerfLines().format(took)
    assert json.loads(JsonLines().format(took))["took"] == number


def test_serfs_form_shows_date_level_and_component():
    line = SerfLines().format(record(level=logging.WARNING, peer="1.2.3.4:5"))
    assert re.fullmatch(
        r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[WARN\] agent: member joined peer=1\.2\.3\.4:5", line
    )


def test_long_fields_are_cut():
    line = Logfmt().format(record(reason="x" * (MAX_TEXT + 1)))
    assert "x" * MAX_TEXT in line
    assert "x" * (MAX_TEXT + 1) not in line


def test_an_exception_is_named_on_the_same_line():
    error = ValueError("bad")
    assert "member joined: ValueError: bad" in Logfmt().format(record(exc_info=(ValueError, error, None)))


@pytest.mark.parametrize("formatter", [Logfmt(), JsonLines()])
def test_a_traceback_stands_on_the_same_line_and_is_cut(formatter):
    def deep(left):
        return deeper(left - 1) if left else 1 / left

    def deeper(left):
        return deep(left)

    try:
        deep(200)
    except ZeroDivisionError as error:
        line = formatter.format(record(exc_info=(type(error), error, error.__traceback__)))
    assert line.isprintable()
    assert "ZeroDivisionError: division by zero" in line
    assert "deeper" in line
    assert len(line) < 2 * MAX_TRACEBACK


@pytest.mark.parametrize(
    ("number", "name"), [(5, "TRACE"), (10, "DEBUG"), (25, "INFO"), (50, "ERR"), (1, "TRACE")]
)
def test_levels_have_serfs_names(number, name):
    assert level_name(number) == name


def test_the_ring_keeps_the_last_lines_only():
    with LogRing("INFO") as ring:
        for number in range(REMEMBERED_LINES + 1):
            log.info("line %d", number)
        lines = ring.subscribe(lambda _level, _line: None, LEVELS["INFO"])
    assert len(lines) == REMEMBERED_LINES
    assert lines[0].endswith("line 1")


def test_a_listener_gets_its_level_and_is_forgotten_afterwards():
    heard = []

    def hear(level, line):
        heard.append((level, line[20:]))

    with LogRing("INFO") as ring:
        log.info("early")
        log.error("bad")
        assert [line[20:] for line in ring.subscribe(hear, LEVELS["WARN"])] == ["[ERR] agent: bad"]
        log.info("quiet")
        log.warning("loud")
        ring.unsubscribe(hear)
        log.error("late")
    assert heard == [(logging.WARNING, "[WARN] agent: loud")]


def test_a_listener_at_debug_lowers_the_level_while_it_listens():
    with LogRing("WARN") as ring:
        assert not log.isEnabledFor(logging.INFO)
        hear = [].append
        ring.subscribe(hear, LEVELS["DEBUG"])
        assert log.isEnabledFor(logging.DEBUG)
        ring.unsubscribe(hear)
        assert not log.isEnabledFor(logging.INFO)
        ring.set_level("TRACE")
        assert log.isEnabledFor(5)


def test_the_root_logger_is_given_back_as_it_was():
    before = logging.getLogger().level
    with LogRing("TRACE"), logging_to_stderr("json", "ERR"):
        pass
    assert logging.getLogger().level == before


def test_stderr_shows_its_own_level_only():
    stream = io.StringIO()
    handler = StderrHandler("logfmt", "WARN", stream)
    for level in (logging.INFO, logging.WARNING):
        made = record(level=level)
        if made.levelno >= handler.level:
            handler.handle(made)
    handler.close()
    assert stream.getvalue().count("\n") == 1


def test_a_stderr_that_nobody_reads_does_no_harm():
    class Broken(io.StringIO):
        def write(self, _text):
            raise BrokenPipeError

    handler = StderrHandler("json", "INFO", Broken())
    handler.handle(record())
    handler.close()
    assert handler.dropped == 1


class Mute:
    def __str__(self):
        raise ZeroDivisionError


def test_what_cannot_be_formatted_is_said_so_and_harms_nobody():
    stream = io.StringIO()
    handler = StderrHandler("logfmt", "INFO", stream)
    handler.handle(record(who=Mute()))
    handler.close()
    assert stream.getvalue() == "cannot format a line of the log: ZeroDivisionError for 'member joined'\n"
    with LogRing("INFO") as ring:
        ring.handle(record(who=Mute()))
        assert ring.subscribe(lambda _level, _line: None, LEVELS["INFO"]) == []


def test_a_listener_that_raises_harms_nobody():
    def fail(_level, _line):
        raise ZeroDivisionError

    with LogRing("INFO") as ring:
        ring.subscribe(fail, LEVELS["INFO"])
        log.info("said")
        ring.unsubscribe(fail)


def test_pythons_own_remarks_are_lines_of_the_log(capsys):
    class Broken:
        def __del__(self):
            raise ZeroDivisionError

    with logging_to_stderr("logfmt", "INFO"):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old", UserWarning, stacklevel=1)
        broken = Broken()
        del broken
    warning, ignored = capsys.readouterr().err.splitlines()
    assert "UserWarning: old" in warning
    assert warning.startswith("ts=")
    assert "ZeroDivisionError" in ignored
    assert ignored.startswith("ts=")


def test_a_complaint_is_admitted_once_a_minute_and_says_what_was_held_back():
    complaints = Complaints()
    assert complaints.admit("peer", 0.0) == 0
    assert complaints.admit("peer", 1.0) is None
    assert complaints.admit("peer", COMPLAINT_PERIOD - 0.1) is None
    assert complaints.admit("peer", COMPLAINT_PERIOD) == 2


def test_keys_of_complaints_are_bounded_and_further_ones_share_a_line():
    complaints = Complaints()
    assert all(complaints.admit(f"peer {n}", 0.0) == 0 for n in range(MAX_COMPLAINT_KEYS))
    assert complaints.admit("one more", 1.0) == 0
    assert complaints.admit("and another", 2.0) is None
    assert len(complaints) == MAX_COMPLAINT_KEYS + 1
    assert complaints.admit("after a minute", COMPLAINT_PERIOD) == 0
    assert len(complaints) == 2
