"""What stands in ``deploy`` is what Kubernetes takes, and fits the program that it starts."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from whyformer.cli.main import app

DEPLOY = Path(__file__).parents[2] / "deploy"
MANIFESTS: list[dict[str, Any]] = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text("utf-8")))
CONTAINERFILE = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
KINDS = {manifest["kind"]: manifest for manifest in MANIFESTS}
POD = KINDS["Deployment"]["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: manifest["kind"])
def test_a_manifest_keeps_its_schema(manifest: dict[str, Any]):
    validator = pytest.importorskip("kubernetes_validate", reason="needs kubernetes-validate")
    validator.validate(manifest, "1.34", strict=True)


def test_the_schema_finds_a_fault():
    validator = pytest.importorskip("kubernetes_validate", reason="needs kubernetes-validate")
    broken = {**KINDS["Service"], "spec": {"selector": {"app": "whyformer"}, "port": 80}}
    with pytest.raises(validator.ValidationError):
        validator.validate(broken, "1.34", strict=True)


def test_everything_finds_everything():
    labels = KINDS["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert KINDS["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert KINDS["Service"]["spec"]["selector"] == labels
    assert KINDS["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    target = KINDS["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", KINDS["Deployment"]["metadata"]["name"])
    (port,) = CONTAINER["ports"]
    assert KINDS["Service"]["spec"]["ports"][0]["targetPort"] == port["name"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert CONTAINER[probe]["httpGet"]["port"] == port["name"]
    assert str(port["containerPort"]) in CONTAINERFILE
    volumes = {volume["name"] for volume in POD["volumes"]}
    assert {mount["name"] for mount in CONTAINER["volumeMounts"]} == volumes


def test_live_and_ready_are_told_apart():
    assert CONTAINER["livenessProbe"]["httpGet"]["path"] == "/health"
    assert CONTAINER["readinessProbe"]["httpGet"]["path"] == "/ready"


def test_kubernetes_waits_longer_than_the_service_drains():
    grace = float(CONTAINER["args"][CONTAINER["args"].index("--grace") + 1])
    sleep = CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert POD["terminationGracePeriodSeconds"] > grace + sleep


def test_nobody_is_root():
    uid = re.search(r"^USER (\d+)$", CONTAINERFILE, re.MULTILINE)
    assert uid is not None
    assert POD["securityContext"]["runAsUser"] == int(uid[1]) > 0
    assert POD["securityContext"]["runAsNonRoot"]


def test_the_program_knows_the_options_that_it_is_started_with():
    entry = re.search(r"^ENTRYPOINT (\[.*\])$", CONTAINERFILE, re.MULTILINE)
    assert entry is not None
    program, verb, *options = yaml.safe_load(entry[1])
    assert (program, verb) == ("whyformer", "serve")
    shown = CliRunner().invoke(app, ["serve", "--help"]).stdout
    for option in (*options, *CONTAINER["args"]):
        if option.startswith("--"):
            assert f"{option} " in shown, option


def test_what_the_image_is_built_of_exists():
    root = DEPLOY.parent
    for line in CONTAINERFILE.splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            *sources, _ = shlex.split(line)[1:]
            assert all((root / source).exists() for source in sources), line
    assert "-c constraints.txt" in CONTAINERFILE
