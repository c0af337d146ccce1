"""What is in deploy/ and in the compose files is what the published schemas and parsers take."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import hcl2
import kubernetes_validate
import pytest
import yaml

from gossip.agent.config_sources import load_config
from lb.config_sources import load_lb_config

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
OLDEST_KUBERNETES = "1.29"  # the first with sidecars that need no feature gate
FROM_ELSEWHERE = {"GOSSIP_ENCRYPT_FILE"}  # files that exist in a container only


def documents(file: Path) -> list[dict]:
    return [document for document in yaml.safe_load_all(file.read_text()) if document]


@pytest.mark.parametrize("file", KUBERNETES, ids=lambda file: file.name)
@pytest.mark.parametrize("version", [OLDEST_KUBERNETES, kubernetes_validate.latest_version()])
def test_kubernetes_takes_the_manifests(file, version):
    for document in documents(file):
        kubernetes_validate.validate(document, version, strict=True)


def pods() -> list[dict]:
    found = [doc for file in KUBERNETES for doc in documents(file) if doc["kind"] == "Deployment"]
    return [deployment["spec"]["template"] for deployment in found]


def test_every_pod_is_hardened_and_a_seed():
    for template in pods():
        spec = template["spec"]
        assert template["metadata"]["labels"]["gossip/member"] == "true"
        assert spec["securityContext"]["runAsNonRoot"]
        assert not spec["automountServiceAccountToken"]
        for container in (*spec["containers"], *spec.get("initContainers", ())):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"]
            assert not context["allowPrivilegeEscalation"]
            assert context["capabilities"]["drop"] == ["ALL"]


def test_sidecar_is_one_that_outlives_the_web_server():
    (web,) = [pod["spec"] for pod in pods() if "initContainers" in pod["spec"]]
    (agent,) = web["initContainers"]
    assert agent["restartPolicy"] == "Always"
    assert "leave" in web["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]


def nomad() -> dict:
    with (DEPLOY / "nomad" / "site.nomad.hcl").open() as file:
        return hcl2.load(file)


def environments() -> dict[str, dict[str, str]]:
    """Return the variables that each file sets, by a name for the test."""
    found = {
        f"kubernetes {container['name']}": {
            item["name"]: item.get("value", "10.0.0.1") for item in container["env"]
        }
        for pod in pods()
        for container in (*pod["spec"]["containers"], *pod["spec"].get("initContainers", ()))
        if "env" in container
    }
    for file in (*ROOT.glob("compose*.yaml"), DEPLOY / "swarm" / "stack.yaml"):
        for name, service in yaml.safe_load(file.read_text())["services"].items():
            found[f"{file.name} {name}"] = dict(service.get("environment", {}))
    for group in nomad()["job"][0]['"site"']["group"]:
        ((name, body),) = group.items()
        for task in body["task"]:
            (settings,) = task.values()
            found[f"nomad {name}"] = {
                key: re.sub(r"\$\{[^}]*\}", "1", value.strip('"'))
                for key, value in settings["env"][0].items()
                if key.isupper()
            }
    return found


@pytest.mark.parametrize("variables", environments().values(), ids=environments())
def test_every_variable_is_a_setting_that_is_taken(variables):
    ours = {key: str(value) for key, value in variables.items() if key.startswith("GOSSIP_")}
    known = {key: value for key, value in ours.items() if key not in FROM_ELSEWHERE}
    agent = {key: value for key, value in known.items() if not key.startswith("GOSSIP_LB_")}
    load_config({}, [], agent | {"GOSSIP_NODE_NAME": "n"})
    load_lb_config(
        {}, None, {"GOSSIP_LB_LISTEN": ":80"} | {key: known[key] for key in known.keys() - agent.keys()}
    )


def test_nomad_job_is_hcl_with_both_groups():
    groups = [name.strip('"') for group in nomad()["job"][0]['"site"']["group"] for name in group]
    assert groups == ["web", "haproxy"]


@pytest.mark.parametrize("unit", sorted((DEPLOY / "systemd").glob("*.service")), ids=lambda unit: unit.name)
def test_systemd_takes_the_units(unit, tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze IS NOT INSTALLED: apt-get install systemd")
    copy = tmp_path / unit.name
    copy.write_text(
        unit.read_text()
        .replace("/opt/gossip/bin/gossip-lb", "/bin/true")
        .replace("/opt/gossip/bin/gossip", "/bin/true")
    )
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    complaints = [line for line in done.stderr.splitlines() if unit.name in line]
    assert (done.returncode, complaints) == (0, [])


def test_images_have_the_libraries_of_the_lock_file_and_no_others():
    def pins(file: Path) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9-]+)==(\S+) \\$", file.read_text(), re.MULTILINE))

    everything, images = pins(ROOT / "requirements.lock"), pins(ROOT / "images" / "requirements.lock")
    assert images.items() <= everything.items()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["lb"]
    assert {re.split(r"[<>=;]", line)[0].strip() for line in wanted} <= images.keys(), "run make lock"
