"""Replaces a file that somebody else wrote: only on request, with a copy, after naming what will be lost.

The copy is ``haproxy.cfg.bak-<UTC time>`` beside the file, byte for byte. The lines carried over from it are
kept in ``.lb.carried``, because from then on the file itself is ours; without that file, those lines are
lost.
"""

import logging
from pathlib import Path

import msgspec
from msgspec import Struct

from gossip.errors import ConfigError
from lb.deploy.adoption import Adoption, Carried, adopt
from lb.deploy.bootstrap import Origin, origin_of
from lb.deploy.config_file import ConfigFile
from lb.render.renderer import RenderConfig

log = logging.getLogger(__name__)

CARRIED_NAME = ".lb.carried"
BACKUP = "bak"
MAX_CARRIED_BYTES = 256 * 1024
MAX_LOGGED_LOSSES = 50


class TakeOver(Struct, frozen=True):
    """The parts kept from a file that was taken over."""

    backup: Path
    adoption: Adoption


def refusal(file: ConfigFile) -> str:
    """Return why a file that somebody else wrote is left alone, and the remedy."""
    return (
        f"cannot use {file.target}: gossip-lb did not write it (--take-over keeps it as "
        f"{file.target.name}.{BACKUP}-TIME and replaces it; 'gossip-lb check' says what would be lost; "
        "or choose another --config-path)"
    )


def take_over(file: ConfigFile, admin_socket: str, *, allowed: bool) -> TakeOver | None:
    """Prepare the replacement of a foreign file, if there is one; the file itself stays. `file` must be open.

    Raises:
        ConfigError: somebody else wrote the file and a take-over is not `allowed`.
        SwapError: it cannot be read, or the copy cannot be written.
    """
    content = file.read()
    if content is None or origin_of(content, file.read_good()) is not Origin.FOREIGN:
        return None
    if not allowed:
        raise ConfigError(refusal(file))
    adoption = adopt(content, admin_socket)
    for loss in adoption.lost[:MAX_LOGGED_LOSSES]:
        log.warning("not carried over", extra={"file": file.target, "what": str(loss)})
    backup = file.keep_copy(content, BACKUP)
    file.write_beside(CARRIED_NAME, msgspec.json.format(msgspec.json.encode(adoption.carried)) + b"\n")
    extra = {"file": file.target, "copy": backup, "lost": len(adoption.lost)}
    log.warning("foreign configuration file taken over", extra={"event": "lb.take_over", **extra})
    return TakeOver(backup, adoption)


def read_carried(directory: Path) -> Carried:
    """Return the lines and settings that an earlier take-over in this directory carried over.

    Raises:
        ConfigError: the file with them cannot be read.
    """
    path = directory / CARRIED_NAME
    try:
        with path.open("rb") as source:
            return msgspec.json.decode(source.read(MAX_CARRIED_BYTES), type=Carried)
    except FileNotFoundError:
        return Carried()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"cannot read {path}: {error} (repair it, or remove it to do without)") from error


def with_carried(config: RenderConfig, carried: Carried) -> RenderConfig:
    """Return `config` with the carried settings and lines; a setting that differs from its default wins.

    Raises:
        ConfigError: a carried setting or line cannot be used.
    """
    defaults = {field.name: field.default for field in msgspec.structs.fields(RenderConfig)}
    changes: dict[str, object] = {
        key: value
        for key, value in carried.settings.items()
        if key in defaults and getattr(config, key) == defaults[key]
    }
    if any(line.startswith("log ") for line in carried.global_lines):
        changes["log"] = ""
    changes["global_lines"] = (*carried.global_lines, *config.global_lines)
    changes["defaults_lines"] = (*carried.defaults_lines, *config.defaults_lines)
    return msgspec.structs.replace(config, **changes)
