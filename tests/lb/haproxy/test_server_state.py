"""Reading what HAProxy says about servers, and choosing what a new worker may believe."""

import pytest

from lb.haproxy.cli_socket import HAProxyError
from lb.haproxy.config_text import ServerName, ServerPlace
from lb.haproxy.server_state import (
    EMPTY_STATE,
    ServerRow,
    difference,
    filter_state,
    parse_servers,
)
from lb.policy.witness import Health
from tests.lb.haproxy.places import place

COLUMNS = (
    "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
    "srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state "
    "srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port "
    "srv_check_addr srv_agent_addr srv_agent_port"
)


def row(name: str, host: str, port: int, admin: int = 0) -> str:
    return f"3 web 7 {name} {host} 2 {admin} 100 100 5 6 3 4 6 0 0 1 - {port} - 0 0 - - 0"


def table(*rows: str) -> str:
    return "\n".join(("1", COLUMNS, *rows)) + "\n\n"


def test_rows_tell_place_and_administrative_state() -> None:
    rows = parse_servers(table(row("a", "10.0.0.1", 80), row("b", "::1", 81, admin=8), row("c", "-", 0, 1)))
    assert [r.place for r in rows] == [place("a", "10.0.0.1", 80), place("b", "::1", 81), place("c", None, 0)]
    assert [r.is_drained for r in rows] == [False, True, False]
    assert [r.is_in_maintenance for r in rows] == [False, False, True]


@pytest.mark.parametrize("text", ["", "Permission denied\n", "2\n# x\n", f"1\n{COLUMNS[2:]}\n"])
def test_answer_that_is_no_table_is_an_error(text: str) -> None:
    with pytest.raises(HAProxyError, match="is not a table"):
        parse_servers(text)


@pytest.mark.parametrize("line", ["3 web 7", row("a", "10.0.0.1", 80).replace(" 80 ", " x ")])
def test_broken_line_is_an_error(line: str) -> None:
    with pytest.raises(HAProxyError, match="has an invalid line"):
        parse_servers(table(line))


def test_empty_table_has_no_rows() -> None:
    assert parse_servers(table()) == ()


def test_only_lines_that_are_true_of_the_new_configuration_are_kept() -> None:
    rows = [row("same", "10.0.0.1", 80), row("port", "10.0.0.2", 80), row("host", "10.0.0.3", 80)]
    wanted = [place("same", "10.0.0.1", 80), place("port", "10.0.0.2", 81), place("host", "10.0.0.4", 80)]
    kept = filter_state(table(*rows, row("gone", "10.0.0.9", 80)), wanted)
    assert kept.decode() == f"1\n{COLUMNS}\n{rows[0]}\n"


def test_same_server_in_another_backend_is_another_server() -> None:
    kept = filter_state(table(row("a", "10.0.0.1", 80)), [place("a", "10.0.0.1", 80, backend="api")])
    assert kept.decode() == f"1\n{COLUMNS}\n"
    assert kept.startswith(EMPTY_STATE)


def test_difference_names_what_is_missing_surplus_and_elsewhere() -> None:
    rows = parse_servers(
        table(row("x", "10.0.0.1", 80), row("moved", "10.0.0.2", 80), row("n", "10.0.0.7", 9))
    )
    expected = [place("y", "10.0.0.1", 80), place("moved", "10.0.0.2", 81), place("n", None, 9)]
    assert difference(expected, rows) == "missing: web/y; not in the file: web/x; elsewhere: web/moved"
    assert difference([row.place for row in rows], rows) == ""


def test_difference_stays_short() -> None:
    expected = [place(f"s{number}", "10.0.0.1", number) for number in range(100)]
    assert difference(expected, []) == "missing: web/s0, web/s1, web/s10, web/s11, web/s12"


@pytest.mark.parametrize(
    ("operation", "result", "bits", "health"),
    [
        (0, 2, 6, Health.DOWN),
        (0, 0, 0, Health.DOWN),
        (2, 3, 6, Health.UP),
        (2, 3, 7, Health.UP),
        (1, 3, 6, Health.UP),
        (2, 0, 6, Health.UNKNOWN),
        (2, 0, 0, Health.UNCHECKED),
    ],
    ids=["failed", "tracked", "passed", "being checked", "warming up", "not checked yet", "no check"],
)
def test_health_is_what_the_checks_say(operation, result, bits, health):
    place = ServerPlace(ServerName("web", "a"), "10.0.0.1", 80)
    assert ServerRow(place, operation, 0, "", result, bits).health is health
