"""Write docs/reference/settings.md from the declarations of the settings; with --check only compare."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from gossip.agent.config import AgentConfig
from gossip.agent.config_sources import ENVIRONMENT_PREFIX as AGENT_PREFIX
from gossip.settings import absent
from gossip.settings.setting import Declared, Serf, settings_of
from lb.config import LbConfig
from lb.config_sources import ENVIRONMENT_PREFIX as LB_PREFIX

PATH = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"
INTRODUCTION = """\
# Settings

Written by `tests/tools/settings_reference.py` from the declarations in `gossip/agent/config.py` and
`lb/config.py`.

Each setting can be given in a file, as an environment variable or as a flag. Later sources win: defaults,
files in their order, the environment, flags. Lists and tables marked "adds" collect the values of all
sources. Flags may be written with one dash, as `-flag value` or `-flag=value`. Durations are numbers of
seconds or Go's notation (`1m30s`). A setting marked "live" changes in a running program on SIGHUP; the
others need a restart. `--print-config` shows every setting's value and where it came from.
"""
AGENT = """
## The agent: `gossip agent`, and the agent in `gossip-lb run`

The key stands at the top level of the TOML files of `--config-file`. The variable is `GOSSIP_` and the key
in capitals. In `gossip-lb run`, `--role` is the load balancer's; set the agent's tag with `--tag`. Serf's
JSON files are accepted, too: the column Serf tells whether Serf has the key, and whether `serf agent` has
the flag, with one dash.
"""
BALANCER = """
## The load balancer: `gossip-lb run`, `check`, `stop-haproxy`

The key stands in the table `[lb]` of the TOML file of `--lb-config`. The variable is `GOSSIP_LB_` and the
key in capitals.
"""
ABSENT = """
## Left out on purpose

These keys and flags of Serf are refused with one line. A key whose value is empty or `false` is accepted.

| Serf | use instead |
|---|---|
"""


def reference() -> str:
    """Return the whole page."""
    return "".join(
        (
            INTRODUCTION,
            AGENT,
            *_table(AgentConfig, AGENT_PREFIX, with_serf=True),
            BALANCER,
            *_table(LbConfig, LB_PREFIX, with_serf=False),
            ABSENT,
            *(f"| `{name}` | {advice} |\n" for name, advice in absent.everything()),
        )
    )


def _table(kind: type[Struct], prefix: str, *, with_serf: bool) -> Iterator[str]:
    serf = ("Serf",) if with_serf else ()
    yield "\n"
    yield from _row(("key", "flag", "default", "meaning", *serf))
    yield from _row(["---"] * (5 if with_serf else 4))
    for item in settings_of(kind).values():
        cells = (f"`{item.name}`", _flag(item), item.default_text or "none", _meaning(item), _serf(item))
        yield from _row(cells if with_serf else cells[:-1])
    for item in settings_of(kind).values():
        if serf_variable := item.setting.serf_variable:
            yield f"\n`{serf_variable}` also sets `{item.name}`; `{prefix}{item.name.upper()}` wins.\n"


def _row(cells: Iterable[str]) -> Iterator[str]:
    yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |\n"


def _flag(item: Declared) -> str:
    if not item.setting.flag:
        return ""
    off = f", `{item.off_flag}`" if item.off_flag else ""
    value = f" {item.setting.metavar}" if item.setting.metavar else ""
    return f"`{item.setting.flag}{value}`{off}"


def _meaning(item: Declared) -> str:
    setting = item.setting
    text = setting.help
    unit = "s" if item.is_duration else ""
    if setting.at_least is not None:
        text += f" At least {setting.at_least:g}{unit}."
    if setting.at_most is not None:
        text += f" At most {setting.at_most:g}{unit}."
    if setting.above is not None:
        text += f" More than {setting.above:g}{unit}."
    if item.is_list or item.is_map:
        what = "KEY=VALUE, separated by commas" if item.is_map else setting.words.value
        text += f" In a variable: {what}."
    marks = [word for word, is_so in (("adds", setting.adds), ("live", setting.is_live)) if is_so]
    return f"{text} ({', '.join(marks)})" if marks else text


def _serf(item: Declared) -> str:
    if item.setting.serf_opposite:
        return f"flag; key `{item.serf_key}`, its opposite"
    return {Serf.NOT: "", Serf.KEY: "key", Serf.FLAG: "key, flag"}[item.setting.serf]


def main() -> int:
    """Write the page, or say that it is out of date."""
    if "--check" in sys.argv[1:]:
        return int(PATH.read_text() != reference())
    PATH.write_text(reference())
    return 0


if __name__ == "__main__":
    sys.exit(main())
