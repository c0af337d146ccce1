"""What somebody else does to the file, the worker and its servers, with a real HAProxy."""

from pathlib import Path

import msgspec
import pytest
import trio

from lb.deploy.deployer import DeploymentConfig, Goal
from lb.deploy.foreign_edit import MAX_DIFF_LINE, MAX_DIFF_LINES, OnForeignEdit, compare
from lb.deploy.worker_record import RECORD_NAME, started_after_change
from lb.haproxy.config_text import ServerName
from tests.lb.deploy.test_deployer import QUICK, deploying, runs
from tests.lb.log_events import logged
from tests.real_haproxy import HOST, Site, eventually

pytestmark = pytest.mark.haproxy
HOLD = msgspec.structs.replace(QUICK, on_foreign_edit=OnForeignEdit.HOLD)


def copies(site: Site, kind: str = "edited") -> list[bytes]:
    return [path.read_bytes() for path in sorted(site.directory.glob(f"haproxy.cfg.{kind}-*"))]


async def settled(site: Site) -> None:
    await eventually(
        lambda: (site.directory / ".lb.good").exists() and (site.directory / RECORD_NAME).exists()
    )


async def reload_by_hand(site: Site) -> int:
    """Reload as an operator does; return how many reloads there were before."""
    before = (await site.haproxy.master.processes()).reloads
    await site.haproxy.master.reload(trio.current_time() + 20)
    return before


async def reloads(site: Site) -> int:
    processes = await site.haproxy.processes()
    return processes.reloads if processes else 0


async def command(site: Site, text: str) -> None:
    await site.haproxy.runtime._socket.ask(text)


async def denies(site: Site) -> bool:
    try:
        stream = await trio.open_tcp_stream(HOST, site.port)
    except OSError:
        return True
    async with stream:
        await stream.send_all(b"GET / HTTP/1.0\r\n\r\n")
        return b" 403 " in await stream.receive_some(100)


@pytest.mark.trio
async def test_edit_that_keeps_the_digest_line_is_undone_in_the_running_worker(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    content = site.content({"a": 1})
    edited = content.replace(
        b"    default_backend", b"    http-request deny deny_status 403\n    default_backend"
    )
    async with site.running(content), deploying(site) as deployment:
        deployment.want(Goal(content, "a joined"))
        await settled(site)
        site.config.write_bytes(edited)
        before = await reload_by_hand(site)
        await eventually(lambda: site.config.read_bytes() == content)

        async def is_undone() -> bool:
            return await reloads(site) >= before + 2 and not await denies(site)

        await eventually(is_undone)
        await eventually(lambda: logged(caplog, "lb.swap"))
    assert copies(site) == [edited]
    [edit] = logged(caplog, "lb.foreign_edit")
    assert "+ http-request deny deny_status 403" in edit.diff
    assert str(edit.copy).startswith(f"{site.config}.edited-2")
    assert logged(caplog, "lb.swap")[-1].reason.startswith("restored: ")


@pytest.mark.trio
async def test_worker_that_somebody_else_made_from_the_right_file_is_replaced(site: Site) -> None:
    content = site.content({"a": 1})
    async with site.running(content), deploying(site) as deployment:
        deployment.want(Goal(content, "start"))
        await settled(site)
        before = await reload_by_hand(site)  # of what file, nobody can know

        async def is_replaced() -> bool:
            return await reloads(site) == before + 2

        await eventually(is_replaced)
        await trio.sleep(0.5)
        assert await is_replaced()  # and once is enough


@pytest.mark.trio
async def test_worker_of_a_former_life_is_believed_without_a_reload(site: Site) -> None:
    content, newer = site.content({"a": 1}), site.content({"a": 2})
    async with site.running(content):
        async with deploying(site) as deployment:
            deployment.want(Goal(newer, "change"))
            await runs(site, newer)
            await settled(site)
            await eventually(lambda: deployment.problem == "" and deployment._achieved is not None)
        before = await site.haproxy.processes()
        async with deploying(site) as deployment:
            deployment.want(Goal(newer, "start"))
            await eventually(lambda: deployment._achieved is not None)
        assert await site.haproxy.processes() == before


@pytest.mark.trio
async def test_haproxy_started_after_the_file_was_written_is_believed(site: Site) -> None:
    content = site.content({"a": 1})
    async with site.running(content):
        processes = await site.haproxy.master.processes()
        assert started_after_change(processes.master, site.config)
        assert not started_after_change(1, site.config)
        site.config.touch()
        assert not started_after_change(processes.master, site.config)


@pytest.mark.trio
async def test_held_edit_stays_and_stops_our_swaps_until_it_is_gone(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    content, newer = site.content({"a": 1}), site.content({"a": 1, "b": 2})
    edited = content.replace(b"timeout server 30s", b"timeout server 90s")
    async with site.running(content), deploying(site, HOLD) as deployment:
        deployment.want(Goal(content, "start"))
        await settled(site)
        site.config.write_bytes(edited)
        deployment.want(Goal(newer, "b joined"))
        await eventually(lambda: deployment.problem.startswith("held: hand edit; copy "))
        await trio.sleep(0.5)  # several looks later
        assert site.config.read_bytes() == edited
        assert copies(site) == [edited]
        assert len(logged(caplog, "lb.held")) == 1
        site.config.write_bytes((site.directory / ".lb.good").read_bytes())
        await runs(site, newer)


@pytest.mark.trio
@pytest.mark.parametrize(("found", "what"), [(b"", "was emptied"), (None, "was removed")])
async def test_emptied_or_removed_file_is_restored_and_called_so(
    site: Site, caplog: pytest.LogCaptureFixture, found: bytes | None, what: str
) -> None:
    caplog.set_level("INFO")
    content = site.content({"a": 1})
    async with site.running(content), deploying(site) as deployment:
        deployment.want(Goal(content, "a joined"))
        await settled(site)
        site.config.unlink()
        if found is not None:
            site.config.write_bytes(found)
        await eventually(lambda: site.config.exists() and site.config.read_bytes() == content)
        await eventually(lambda: logged(caplog, "lb.swap"))
    assert logged(caplog, "lb.foreign_edit")[0].change == what.removeprefix("was ")
    assert logged(caplog, "lb.swap")[-1].reason == f"restored: file {what}"


@pytest.mark.trio
async def test_edit_made_while_nobody_watched_is_kept_and_undone(site: Site) -> None:
    content = site.content({"a": 1})
    edited = content + b"# edited\n"
    async with site.running(content):
        (site.directory / ".lb.good").write_bytes(content)
        site.config.write_bytes(edited)
        async with deploying(site) as deployment:
            deployment.want(Goal(content, "start"))
            await eventually(lambda: site.config.read_bytes() == content)
    assert copies(site) == [edited]


@pytest.mark.trio
async def test_server_added_at_runtime_is_kept_on_record_and_goes(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    content = site.content({"a": 1})
    async with site.running(content), deploying(site) as deployment:
        deployment.want(Goal(content, "a joined"))
        await settled(site)
        await command(site, f"add server web/foreign {HOST}:9")
        await eventually(lambda: logged(caplog, "lb.swap"))
        await runs(site, content)
    assert [b" foreign " in copy for copy in copies(site, "servers")] == [True]
    assert logged(caplog, "lb.foreign_edit")[0].diff == "not in the file: web/foreign"
    assert "servers changed at runtime: not in the file: web/foreign" in logged(caplog, "lb.swap")[-1].reason


@pytest.mark.trio
async def test_server_added_at_runtime_stays_under_hold(site: Site) -> None:
    content = site.content({"a": 1})
    async with site.running(content), deploying(site, HOLD) as deployment:
        deployment.want(Goal(content, "start"))
        await settled(site)
        await command(site, f"add server web/foreign {HOST}:9")
        await eventually(lambda: "held: servers changed at runtime" in deployment.problem)
        assert "foreign" in await site.haproxy.runtime.servers_table()
        await command(site, "del server web/foreign")
        await eventually(lambda: deployment.problem == "")


async def drained(site: Site) -> list[str]:
    return [row.place.name.server for row in await site.haproxy.runtime.servers() if row.is_drained]


@pytest.mark.trio
async def test_drains_and_weights_of_a_person_survive_our_drains_and_reloads(site: Site) -> None:
    content, newer = site.content({"a": 1, "b": 2}), site.content({"a": 1, "b": 2, "c": 3})
    async with site.running(content), deploying(site) as deployment:
        deployment.want(Goal(content, "start"))
        await settled(site)
        await command(site, "set server web/a state drain; set server web/a weight 7")
        deployment.want_drained({ServerName("web", "b")})

        async def both() -> bool:
            return await drained(site) == ["a", "b"]

        await eventually(both)
        deployment.want(Goal(newer, "c joined"))
        await runs(site, newer)
        await eventually(both)
        deployment.want_drained(set())

        async def only_a() -> bool:
            return await drained(site) == ["a"]

        await eventually(only_a)
        await trio.sleep(0.3)
        assert await only_a()
        [row] = [r for r in await site.haproxy.runtime.servers() if r.place.name.server == "a"]
        assert row.line.split()[7] == "7"


@pytest.mark.trio
async def test_drain_of_a_former_life_is_known_as_ours(site: Site) -> None:
    content = site.content({"a": 1})
    slow = DeploymentConfig()
    async with site.running(content):
        async with deploying(site, slow) as deployment:
            deployment.want_drained({ServerName("web", "a")})
            await eventually(lambda: b'"a"' in _read(site.directory / RECORD_NAME))
        async with deploying(site, slow):

            async def nobody() -> bool:
                return await drained(site) == []

            await eventually(nobody)


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


@pytest.mark.trio
async def test_servers_with_names_that_we_would_never_write_are_left_alone(site: Site) -> None:
    content = site.content({"a": 1}).replace(b"server a", b"server odd:name")
    async with site.running(content), deploying(site) as deployment:
        await command(site, "set server web/odd:name state drain")
        deployment.want_drained({ServerName("web", "other")})
        await trio.sleep(0.3)
        assert await drained(site) == ["odd:name"]


def test_damaged_record_believes_nobody(site: Site) -> None:
    from lb.deploy.config_file import ConfigFile
    from lb.deploy.worker_record import WorkerRecord, read_record
    from lb.haproxy.config_check import Validator

    (site.directory / RECORD_NAME).write_bytes(b"{")
    assert read_record(ConfigFile(site.config, Validator())) == WorkerRecord()


def test_difference_is_short_and_hides_passwords() -> None:
    before = b"a\n  stats auth admin:old\n"
    assert compare(before, b"a\n  stats auth admin:new\n") == ("- stats auth ...", "+ stats auth ...")
    many = b"".join(b"%d\n" % number for number in range(MAX_DIFF_LINES + 5))
    assert compare(b"", many)[-1] == "and 5 more lines"
    assert len(compare(b"", many)) == MAX_DIFF_LINES + 1
    assert len(compare(b"", b"x" * 1000)[0]) == MAX_DIFF_LINE
    assert compare(b"x\n" * 10_000, b"x\n" * 10_000) == ()
    too_large = ("too large to compare: 10000 lines before, 10001 lines now",)
    assert compare(b"x\n" * 10_000, b"x\n" * 10_001) == too_large
    assert compare(b"", b"-- x\n") == ("+ -- x",)
