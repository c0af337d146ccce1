"""``gossip sim`` as a person uses it: what it prints, which exit code it has."""

import subprocess
import sys

import pytest

from gossip.cli.main import run
from gossip.cli.program import DONE, FAILED, MISUSED
from tests.sim.rig import NEVER_HEALED

GOOD = 'nodes = 4\nprofile = "local"\nduration = 10\n[[acts]]\ndo = "crash"\nnode = "n1"\nat = 2\n'


def test_a_scenario_that_holds_ends_well(scenario, capsys):
    assert run(["sim", "run", scenario(GOOD)]) == DONE
    assert "agreed" in capsys.readouterr().out


def test_a_broken_rule_prints_seed_scenario_trace_and_rule(scenario, capsys):
    assert run(["sim", "run", scenario(NEVER_HEALED), "--seed", "5"]) == FAILED
    captured = capsys.readouterr()
    assert "after all faults the core agrees: 1 s after the last fault" in captured.out
    assert "seed 5, trace " in captured.out
    assert 'do = "partition"' in captured.out
    assert "broken rule: after all faults the core agrees" in captured.err


def test_another_seed_is_another_run(scenario, capsys):
    digests = set()
    for seed in ("1", "2"):
        run(["sim", "run", scenario(GOOD), "-seed", seed])
        digests.add(capsys.readouterr().out.split()[3])
    assert len(digests) == 2


def test_the_byte_path_prints_the_same_trace(scenario, capsys):
    run(["sim", "run", scenario(GOOD)])
    by_reference = capsys.readouterr().out
    run(["sim", "run", scenario(GOOD), "--wire"])
    assert capsys.readouterr().out == by_reference


def test_a_timeline_has_a_line_per_node_and_a_key(scenario, capsys):
    assert run(["sim", "run", scenario(GOOD), "--timeline"]) == DONE
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["n0", "n1", "n2", "n3"]
    assert any("holds a running agent failed or left" in line for line in lines)


def test_a_timeline_about_one_node_shows_beliefs(scenario, capsys):
    assert run(["sim", "run", scenario(GOOD), "--about", "n1"]) == DONE
    assert "suspect" in capsys.readouterr().out


def test_a_picture_is_written(scenario, tmp_path):
    target = tmp_path / "run.svg"
    assert run(["sim", "run", scenario(GOOD), "--svg", str(target)]) == DONE
    assert target.read_text().startswith("<svg")


def test_the_whole_trace_is_printed_on_request(scenario, capsys):
    run(["sim", "run", scenario(GOOD), "--trace"])
    assert "n1  crashes" in capsys.readouterr().out


def test_replay_runs_what_the_swarm_drew(capsys):
    assert run(["sim", "swarm", "--seeds", "3..3", "--most-nodes", "6", "--digests"]) == DONE
    digest = capsys.readouterr().out.split()[1]
    assert run(["sim", "replay", "3", "--most-nodes", "6"]) == DONE
    assert digest in capsys.readouterr().out


def test_replay_prints_a_scenario_that_run_takes(scenario, capsys):
    run(["sim", "replay", "3", "--most-nodes", "6"])
    replayed = capsys.readouterr().out
    run(["sim", "replay", "3", "--most-nodes", "6", "--print"])
    path = scenario(capsys.readouterr().out)
    run(["sim", "run", path])
    assert capsys.readouterr().out == replayed


def test_jobs_share_the_seeds_and_change_nothing(capsys):
    outputs = []
    for jobs in ("1", "2"):
        assert (
            run(["sim", "swarm", "--seeds", "0..9", "--most-nodes", "5", "--digests", "--jobs", jobs]) == DONE
        )
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]
    assert "10 seeds: every rule held, every core agreed" in outputs[0]


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["swarm", "--seeds", "9..3"], "seeds '9..3' are not A..B"),
        (["swarm", "--seeds", "some"], "seeds 'some' are not A..B"),
        (["run", "/nowhere.toml"], "does not exist"),
        (["replay", "-1"], "unknown flag -1"),
        (["replay", "3", "--about", "n99"], "there is no node 'n99'"),
    ],
)
def test_misuse_is_told_in_one_line(args, complaint, capsys):
    assert run(["sim", *args]) == MISUSED
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


def test_a_broken_file_is_told_in_one_line(scenario, capsys):
    assert run(["sim", "run", scenario("nodez = 3")]) == MISUSED
    assert "object contains unknown field `nodez`" in capsys.readouterr().err


def test_a_picture_that_cannot_be_written_is_a_failure(scenario, capsys):
    assert run(["sim", "run", scenario(GOOD), "--svg", "/dev/full"]) == FAILED
    assert "cannot write /dev/full: no space left on device" in capsys.readouterr().err


def test_the_simulator_needs_no_trio():
    script = (
        "import sys\nfrom gossip.cli.main import run\n"
        "code = run(['sim', 'replay', '3', '--most-nodes', '4'])\n"
        "assert 'trio' not in sys.modules\nsys.exit(code)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
