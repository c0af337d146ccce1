"""Settings as flags of a command; a flag is None, or an empty tuple, when it is not given.

The declarations are read when a command line is parsed or its help is shown: a command that only lists its
sub-commands does not import the modules that declare them.
"""

from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gossip.cli.dialect import SerfCommand
from gossip.settings.absent import absent_flag

if TYPE_CHECKING:
    from msgspec import Struct

    from gossip.settings.setting import Declared


config_files_option = click.option(
    "--config-file",
    "--config-dir",
    "config_files",
    type=click.Path(path_type=Path),
    multiple=True,
    help="The agent's configuration: a file in TOML or Serf's JSON, or a directory of them; repeatable.",
)
"""One option with both names, so that files and directories keep their order, as in Serf."""


print_config_option = click.option(
    "--print-config", is_flag=True, help="Print each setting with its value and where it came from, and exit."
)


class SettingsCommand(SerfCommand):
    """A command whose flags are settings: those that `settings` returns, before its other parameters."""

    def __init__(
        self,
        name: str | None,
        *,
        settings: Callable[[], Iterable[click.Parameter]],
        callback: Callable[..., object] | None = None,
        params: list[click.Parameter] | None = None,
        help: str | None = None,
    ) -> None:
        super().__init__(name, callback=callback, params=params, help=help)
        self._settings = settings
        self._others = self.params

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return all parameters; those of the settings are created when they are needed."""
        if self.params is self._others:
            self.params = [*self._settings(), *self._others]
        return super().get_params(ctx)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command, without the parameters of the settings: an agent lives long."""
        self.params = self._others
        return super().invoke(ctx)

    def advice(self, flag: str) -> str:
        """Return the alternative to a flag of Serf's that is deliberately unsupported."""
        return absent_flag(flag)


def setting_flags(kind: "type[Struct]", leave_out: Collection[str] = ()) -> list[click.Parameter]:
    """Return an option for each setting of `kind` that has a flag, except those in `leave_out`."""
    from gossip.settings.setting import settings_of

    return [
        _option(item)
        for name, item in settings_of(kind).items()
        if item.setting.flag and name not in leave_out
    ]


def _option(item: "Declared") -> click.Option:
    from gossip.settings.setting import Words

    setting = item.setting
    spelling = f"{setting.flag}/{item.off_flag}" if item.is_switch else setting.flag
    is_repeatable = item.is_map or (item.is_list and setting.words is not Words.SHELL)
    text = f"{setting.help.rstrip('.')}; repeatable." if is_repeatable else setting.help
    if item.default_text:
        text += f"  [default: {item.default_text}]"
    if item.is_switch:
        return click.Option([spelling, item.name], default=None, help=text)
    return click.Option(
        [spelling, item.name], metavar=setting.metavar or "TEXT", multiple=is_repeatable, help=text
    )
