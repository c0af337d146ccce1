"""What a container with a mistake in its configuration says: one clear line, and it ends with a code."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.containers.engine import Images, Site, Standalone, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

MISTAKES = [
    ("web", {"GOSSIP_ENCRYPT_FILE": "/none"}, 2, "cannot read encrypt_file /none: no such file"),
    ("haproxy", {"GOSSIP_ENCRYPT_FILE": "/none"}, 2, "cannot read encrypt_file /none: no such file"),
    ("web", {"GOSSIP_ENCRYPT_KEY": "abc"}, 2, "GOSSIP_ENCRYPT_KEY: expected base64 of 16, 24 or 32 bytes"),
    ("web", {"GOSSIP_BIND": "0.0.0.0:8000"}, 1, "cannot bind tcp 0.0.0.0:8000: address already in use"),
    ("web", {"GOSSIP_TAGZ": "a=b"}, 2, "GOSSIP_TAGZ sets nothing (did you mean GOSSIP_TAGS?)"),
    ("haproxy", {"GOSSIP_LB_LISTENN": ":80"}, 2, "sets nothing (did you mean GOSSIP_LB_LISTEN?)"),
    ("haproxy", {"GOSSIP_LB_LISTEN": "foo"}, 2, "bind 'foo': write it like *:80"),
    ("haproxy", {"GOSSIP_LB_CONFIG_PATH": "/etc/haproxy/haproxy.cfg"}, 2, "Read-only file system"),
]  # fmt: skip


@pytest.fixture
def starter(images: Images, new_site: Callable[..., Site]) -> Callable[[str], Standalone]:
    return lambda target: Standalone(new_site().name, f"{images.prefix}-{target}")


@pytest.mark.parametrize(("target", "variables", "code", "line"), MISTAKES)
def test_mistake_ends_the_container_with_one_clear_line(
    starter: Callable[[str], Standalone], target: str, variables: dict[str, str], code: int, line: str
) -> None:
    options = [part for key, value in variables.items() for part in ("-e", f"{key}={value}")]
    with starter(target).start(options=options) as container:
        wait_until(lambda: not container.is_running, "the container ends", 60)
        assert container.exit_code == code
        assert line in container.logs
        assert "Traceback" not in container.logs
        assert "stopping the container" in container.logs.splitlines()[-1]


def test_configuration_file_that_is_mounted_by_itself_is_refused(
    starter: Callable[[str], Standalone], tmp_path: Path
) -> None:
    tmp_path.chmod(0o777)
    file = tmp_path / "haproxy.cfg"
    file.write_text("# mounted\n")
    mounts = ("-v", f"{tmp_path}:/etc/haproxy", "-v", f"{file}:/etc/haproxy/haproxy.cfg")
    variable = ("-e", "GOSSIP_LB_CONFIG_PATH=/etc/haproxy/haproxy.cfg")
    with starter("haproxy").start(options=(*mounts, *variable)) as container:
        wait_until(lambda: not container.is_running, "the container ends", 60)
        assert container.exit_code == 2
        assert "mount the directory /etc/haproxy instead of the file" in container.logs


def test_root_without_a_writable_run_is_refused(images: Images) -> None:
    with Standalone("none", f"{images.prefix}-web").start(options=("--tmpfs", "/run:ro")) as container:
        wait_until(lambda: not container.is_running, "the container ends", 60)
        assert container.exit_code == 2
        assert "cannot write to /run: mount a tmpfs there" in container.logs


def test_agents_with_different_keys_say_so_and_stay_apart(
    new_site: Callable[..., Site], tmp_path: Path
) -> None:
    key = tmp_path / "other.key"
    key.write_text("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
    key.chmod(0o644)
    with new_site() as site:
        site.up(web=1)
        (web,) = site.containers("web")
        network = next(iter(web.inspect()["NetworkSettings"]["Networks"]))
        stranger = Standalone(site.name, web.inspect()["Config"]["Image"])
        options = ("--network", network, "-v", f"{key}:/key:ro", "-e", "GOSSIP_ENCRYPT_FILE=/key")
        with stranger.start(options=options) as container:
            wait_until(
                lambda: "no installed key could decrypt the payload" in container.logs, "the reason is logged"
            )
            assert list(container.members()) == [container.id]
            assert container.id not in web.members()
