"""The container engine, by its command line: images, projects of Compose, single containers.

What a test starts carries the label of its project, and goes by that label at the end.
"""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BASES = ("debian:bookworm-slim", "python:3.11-slim-bookworm")
PROJECT_LABEL = "com.docker.compose.project"
COMMAND_TIMEOUT = 60.0
BUILD_TIMEOUT = 600.0
POLL = 0.1


class EngineError(Exception):
    """A command of the engine failed; the text holds what it said."""


def run(command: Sequence[str], *, env: Mapping[str, str] = {}, timeout: float = COMMAND_TIMEOUT) -> str:
    """Run a command and return its output; raise EngineError if it fails."""
    done = subprocess.run(
        list(command),
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise EngineError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def docker(*arguments: str, timeout: float = COMMAND_TIMEOUT) -> str:
    """Run ``docker`` and return its output."""
    return run(["docker", *arguments], timeout=timeout)


@cache
def compose_command() -> tuple[str, ...]:
    """Return how Compose is called here, () if it is not installed."""
    if shutil.which("docker"):
        plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
        if plugin.returncode == 0:
            return ("docker", "compose")
    return ("docker-compose",) if shutil.which("docker-compose") else ()


@cache
def missing() -> str:
    """Return what keeps tests on an engine from running, "" if nothing does."""
    if not shutil.which("docker"):
        return "docker IS NOT INSTALLED"
    try:
        docker("info", timeout=20)
    except (EngineError, subprocess.TimeoutExpired):
        return "NO CONTAINER ENGINE ANSWERS (docker info)"
    if not compose_command():
        return "docker compose IS NOT INSTALLED: apt-get install docker-compose"
    return ""


def wait_until(claim: Callable[[], object], what: str, seconds: float = 60.0) -> float:
    """Wait until `claim()` is true; return after how many seconds. Raise AssertionError after `seconds`.

    A claim that cannot be looked at yet, because what answers is not up, is not true yet.
    """
    began = time.monotonic()
    while True:
        with suppress(EngineError):
            if claim():
                return time.monotonic() - began
        waited = time.monotonic() - began
        assert waited < seconds, f"not within {seconds:g} s: {what}"
        time.sleep(POLL)


def free_port() -> int:
    """Return a port of the loopback that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Images:
    """Images built from this checkout, under names of their own; layers of an earlier run are used again."""

    key = ROOT / "images" / "demo.key"

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.build_seconds: dict[str, float] = {}
        self._network = ""

    def bootstrap(self) -> None:
        """Make or pull the bases, and find out from which network a build reaches the package index."""
        run(["images/bootstrap-base"], env=self.environment, timeout=BUILD_TIMEOUT)
        probe = ("--entrypoint", "bash", BASES[0], "-c", ": </dev/tcp/deb.debian.org/80")
        try:
            docker("run", "--rm", *probe)
        except EngineError:
            self._network = "host"

    @property
    def environment(self) -> dict[str, str]:
        """Variables for Compose and for scripts: the classic builder works with every client."""
        network = {"BUILD_NETWORK": self._network} if self._network else {}
        return {
            "IMAGE_PREFIX": self.prefix,
            "DOCKER_BUILDKIT": "0",
            "COMPOSE_DOCKER_CLI_BUILD": "0",
        } | network

    def build(
        self, target: str, *options: str, tag: str = "", file: str = "images/Dockerfile", context: str = "."
    ) -> str:
        """Build one target and return the image's name."""
        name = tag or f"{self.prefix}-{target}"
        began = time.monotonic()
        network = ("--network", self._network) if self._network else ()
        chosen = ("--target", target) if target else ()
        run(
            ["docker", "build", "-q", *network, "-f", file, *chosen, "-t", name, *options, context],
            env=self.environment,
            timeout=BUILD_TIMEOUT,
        )
        self.build_seconds[name] = time.monotonic() - began
        return name


class Container:
    """One container of the engine."""

    def __init__(self, identity: str) -> None:
        self.id = identity[:12]

    def __repr__(self) -> str:
        return f"Container({self.id})"

    def inspect(self) -> Any:
        """Return what the engine knows of it."""
        return json.loads(docker("inspect", self.id))[0]

    @property
    def exit_code(self) -> int:
        """The exit code of a container that has ended."""
        return int(self.inspect()["State"]["ExitCode"])

    @property
    def is_running(self) -> bool:
        """Whether its first process runs."""
        return bool(self.inspect()["State"]["Running"])

    @property
    def health(self) -> str:
        """What its health check says."""
        return str(self.inspect()["State"]["Health"]["Status"])

    @property
    def logs(self) -> str:
        """All that it wrote, standard error included."""
        done = subprocess.run(
            ["docker", "logs", self.id], capture_output=True, text=True, timeout=COMMAND_TIMEOUT, check=True
        )
        return done.stdout + done.stderr

    def logs_after(self, mark: int) -> str:
        """Return what it wrote after the first `mark` characters: the length that `logs` had at a moment."""
        return self.logs[mark:]

    def execute(self, *command: str) -> str:
        """Run a command in it."""
        return docker("exec", self.id, *command)

    def members(self) -> dict[str, str]:
        """Return status by member name, as its agent sees the cluster."""
        report = json.loads(self.execute("gossip", "members", "-format=json"))
        return {member["name"]: member["status"] for member in report["members"]}

    def stop(self, grace: int = 10) -> float:
        """Stop it as ``docker stop`` does; return how long that took."""
        began = time.monotonic()
        docker("stop", "-t", str(grace), self.id)
        return time.monotonic() - began

    def kill(self) -> None:
        """SIGKILL to its first process, and with it to all."""
        docker("kill", "-s", "KILL", self.id)


class Site:
    """A project of Compose: the services of `files`, gone at the end of the `with` block."""

    def __init__(self, name: str, images: Images, files: Sequence[str] = ("compose.yaml",)) -> None:
        self.name = name
        self._files = [part for file in files for part in ("-f", file)]
        # Not 0: the port has to stay the same when the balancer is started again.
        self.environment = images.environment | {
            "HTTP_PORT": str(free_port()),
            "HTTP_PORT_2": str(free_port()),
        }

    def __enter__(self) -> "Site":
        self.remove()
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def compose(self, *arguments: str, timeout: float = 120.0) -> str:
        """Run Compose on this project."""
        command = [*compose_command(), "-p", self.name, *self._files, *arguments]
        return run(command, env=self.environment, timeout=timeout)

    def up(self, **scale: int) -> float:
        """Create and start what is missing, so many containers of each service; return how long it took."""
        began = time.monotonic()
        scales = [part for name, count in scale.items() for part in ("--scale", f"{name}={count}")]
        self.compose("up", "-d", "--no-build", *scales)
        return time.monotonic() - began

    def start_stopped(self) -> None:
        """Start the containers that were stopped or killed."""
        label = f"label={PROJECT_LABEL}={self.name}"
        if stopped := docker("ps", "-aq", "--filter", label, "--filter", "status=exited").split():
            docker("start", *stopped)

    def containers(self, service: str) -> list[Container]:
        """Return the running containers of a service."""
        filters = (f"label={PROJECT_LABEL}={self.name}", f"label=com.docker.compose.service={service}")
        found = docker("ps", "-q", *(part for text in filters for part in ("--filter", text)))
        return [Container(identity) for identity in found.split()]

    def container(self, service: str) -> Container:
        """Return the only container of a service."""
        (one,) = self.containers(service)
        return one

    def port(self, service: str = "haproxy", inside: int = 8080) -> int:
        """Return the port of this machine's loopback at which a service is published."""
        text = docker("port", self.container(service).id, f"{inside}/tcp")
        return int(text.splitlines()[0].rpartition(":")[2])

    def remove(self) -> None:
        """Remove every container, network and volume that carries this project's label."""
        chosen = ("-q", "--filter", f"label={PROJECT_LABEL}={self.name}")
        if containers := docker("ps", "-a", *chosen).split():
            docker("rm", "-f", "-v", *containers)
        if networks := docker("network", "ls", *chosen).split():
            docker("network", "rm", *networks)
        if volumes := docker("volume", "ls", *chosen).split():
            docker("volume", "rm", *volumes)


class Standalone:
    """Single containers of an image, outside of Compose, as ``docker run`` makes them."""

    def __init__(self, name: str, image: str) -> None:
        self._name = name
        self._image = image

    @contextmanager
    def start(self, *command: str, options: Sequence[str] = ()) -> Iterator[Container]:
        """Start a hardened container; it is gone at the end of the ``with`` block."""
        label = f"{PROJECT_LABEL}={self._name}"
        hardened = (
            "--read-only",
            "--tmpfs",
            "/run",
            "--cap-drop",
            "ALL",
            "--security-opt",
            "no-new-privileges",
        )
        container = Container(
            docker("run", "-d", "--label", label, *hardened, *options, self._image, *command)
        )
        try:
            yield container
        finally:
            docker("rm", "-f", "-v", container.id)
