"""Two spellings of one flag: GNU's ``--rpc-addr X`` and Serf's ``-rpc-addr=X`` (serf-wire 8.1).

Go's flag package accepts one dash or two, ``-flag value`` or ``-flag=value``, and ``-flag=true`` for a
boolean. The words of a command line are rewritten into GNU's spelling before click sees them; everything else
about a flag is declared once, at its command.
"""

from collections.abc import Iterable, Sequence

import click

TRUE_WORDS = frozenset(("1", "t", "T", "TRUE", "true", "True"))
FALSE_WORDS = frozenset(("0", "f", "F", "FALSE", "false", "False"))


class SerfCommand(click.Command):
    """A command that understands both spellings, and flags after arguments."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse `args` in either spelling."""
        try:
            return super().parse_args(ctx, to_gnu(args, self.get_params(ctx), ctx))
        except click.NoSuchOption as error:
            flag = error.option_name
            if advice := self.advice(flag):
                raise click.UsageError(f"{flag} is left out on purpose: {advice}", ctx) from None
            # click would suggest flags that look similar, regardless of their meaning.
            raise click.NoSuchOption(flag, f"unknown flag {flag}", ctx=ctx) from None
        except click.UsageError as error:
            # click leaves it out of some errors, and a person wants to know the command
            error.ctx = error.ctx or ctx
            raise

    def advice(self, flag: str) -> str:
        """Return the alternative to the unknown `flag` if it is deliberately unsupported, else nothing."""
        del flag
        return ""


class SerfGroup(SerfCommand, click.Group):
    """A command with sub-commands."""


def to_gnu(args: Sequence[str], params: Iterable[click.Parameter], ctx: click.Context) -> list[str]:
    """Return `args` in GNU's spelling, for a command that takes `params`.

    A word after a flag that takes a value is that value, whatever it looks like. After ``--`` no word is a
    flag, nor is any word after the name of a sub-command.
    """
    switches, valued = _flags(params)
    words = iter(args)
    gnu: list[str] = []
    for word in words:
        if not word.startswith("-") or word == "-":
            gnu.append(word)
            if ctx.allow_interspersed_args:
                continue
            break
        flag, equals, value = _long(word).partition("=")
        if flag in switches and equals:
            chosen = flag if _is_true(value, flag, ctx) else switches[flag]
            gnu += [chosen] if chosen else []
        elif flag in valued and not equals:
            following = next(words, None)
            gnu.append(flag if following is None else f"{flag}={following}")
        else:
            gnu.append(flag + equals + value)
            if word == "--":
                break
    return [*gnu, *words]


def _flags(params: Iterable[click.Parameter]) -> tuple[dict[str, str], set[str]]:
    """Return the flags without a value, each with its opposite if it has one, and those with a value."""
    switches: dict[str, str] = {}
    valued: set[str] = set()
    for param in params:
        if not isinstance(param, click.Option):
            continue
        if not param.is_flag:
            valued.update(param.opts)
            continue
        on, off = param.opts, param.secondary_opts
        switches |= dict.fromkeys(on, off[0] if off else "") | dict.fromkeys(off, on[0])
    return switches, valued


def _long(word: str) -> str:
    """Return a flag of more than one letter with two dashes."""
    return f"-{word}" if word[1] != "-" and len(word) > 2 else word


def _is_true(value: str, flag: str, ctx: click.Context) -> bool:
    if value not in TRUE_WORDS | FALSE_WORDS:
        raise click.UsageError(f"{flag}={value} is neither true nor false", ctx)
    return value in TRUE_WORDS
