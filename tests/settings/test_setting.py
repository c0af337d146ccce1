"""Settings as they are declared: one table for flags, files, variables and documentation."""

import re

import click
import pytest

from gossip.agent.config import AgentConfig
from gossip.cli.settings_flags import setting_flags
from gossip.settings.setting import Serf, live_settings, settings_of
from lb.cli import cli
from lb.config import LbConfig

BOTH = [*settings_of(AgentConfig).values(), *settings_of(LbConfig).values()]


@pytest.mark.parametrize("item", BOTH, ids=lambda item: item.name)
def test_a_setting_says_what_it_means_in_one_line(item):
    assert re.fullmatch(r"[A-Z][^\n]{3,118}\.", item.setting.help)
    assert bool(item.setting.metavar) == bool(item.setting.flag and not item.is_switch)


@pytest.mark.parametrize("kind", [AgentConfig, LbConfig])
def test_no_two_settings_share_a_flag(kind):
    flags = [flag for option in setting_flags(kind) for flag in (*option.opts, *option.secondary_opts)]
    assert len(flags) == len(set(flags))


def test_what_serf_has_as_a_flag_is_a_flag():
    assert all(item.setting.flag for item in BOTH if item.setting.serf is Serf.FLAG)


def test_the_load_balancer_takes_every_flag_of_the_agent():
    run = cli.commands["run"]
    ours = {
        flag
        for param in run.get_params(click.Context(run, help_option_names=["-h", "--help"]))
        for flag in param.opts
    }
    agents = {flag for option in setting_flags(AgentConfig) for flag in option.opts}
    assert agents - ours == set()


def test_a_switch_may_be_turned_off_by_a_flag():
    options = {option.name: option for option in setting_flags(AgentConfig)}
    assert options["record"].secondary_opts == ["--no-record"]
    assert options["disable_compression"].secondary_opts == ["--enable-compression"]


def test_a_reload_applies_what_is_declared_to_be_live():
    assert live_settings(AgentConfig) == ("tags", "event_handlers", "log_level")
    assert "template" in live_settings(LbConfig)
    assert "config_path" not in live_settings(LbConfig)
