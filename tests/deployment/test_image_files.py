"""docker/: what the linter and compose take, what is locked, and what stays outside the build."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tests.deployment.validators import ROOT, noticed_after_seconds, said, tool

DOCKER = ROOT / "docker"
COMPOSE = DOCKER / "compose.yaml"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def locked(*files: str) -> dict[str, str]:
    lines = [line for file in files for line in (DOCKER / file).read_text().splitlines()]
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {each.name: str(each.specifier) for each in found}


def configuration(file: Path, **variables: str) -> tuple[int, str]:
    return said(tool("docker-compose"), "-f", file, "config", **variables)


def test_the_linter_of_dockerfiles_has_no_finding():
    assert said(tool("hadolint"), DOCKER / "Dockerfile") == (0, "")


def test_the_linter_refuses_a_dockerfile_with_an_unpinned_base_and_a_root_user(tmp_path: Path):
    text = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
    (tmp_path / "Dockerfile").write_text(
        text.replace("FROM ${PYTHON_IMAGE} AS image", "FROM python").replace("10001:10001", "root")
    )
    code, findings = said(tool("hadolint"), tmp_path / "Dockerfile")
    assert code == 1
    assert "DL3006" in findings and "DL3002" in findings


@pytest.mark.parametrize("variant", ["cpu", "gpu"])
def test_the_lock_holds_a_version_that_pyproject_accepts_of_everything_that_it_asks_for(variant):
    pins = locked("requirements.txt", f"requirements-{variant}.txt")
    asked = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["ray-jobs"]]
    for requirement in map(Requirement, asked):
        if requirement.name.startswith("tensorflow"):
            continue
        version = pins[requirement.name].removeprefix("==")
        assert requirement.specifier.contains(version), f"{requirement}: make lock"
    assert {name for name in pins if name.startswith("tensorflow")} == (
        {"tensorflow", "tensorflow-cpu"} if variant == "cpu" else {"tensorflow"}
    )


def test_every_pin_is_exact():
    for variant in ("requirements.txt", "requirements-cpu.txt", "requirements-gpu.txt"):
        assert all(re.fullmatch(r"==[^,*]+", pin) for pin in locked(variant).values())


def test_what_the_image_says_of_itself_is_what_the_project_says():
    text = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
    assert f"ARG VERSION={PROJECT['version']}" in text


def test_compose_takes_its_file():
    code, text = configuration(COMPOSE)
    assert code == 0, text
    assert set(yaml.safe_load(text)["services"]) == {"head", "worker", "submit"}


def test_every_service_has_a_token_and_the_file_has_none():
    services = yaml.safe_load(configuration(COMPOSE)[1])["services"]
    for service in services.values():
        said = service["environment"]
        assert (said["RAY_AUTH_MODE"], said["RAY_AUTH_TOKEN_PATH"]) == ("token", "/token/token")
        assert "RAY_AUTH_TOKEN" not in said


def test_the_head_notices_a_cut_cable_within_the_seconds_that_the_comment_says():
    services = yaml.safe_load(configuration(COMPOSE)[1])["services"]
    assert noticed_after_seconds(services["head"]["environment"]) <= 5


def test_no_service_is_root_or_asks_for_a_privilege():
    for service in yaml.safe_load(configuration(COMPOSE)[1])["services"].values():
        assert service["user"] == "10001:10001"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]


def test_the_dashboard_is_published_on_loopback_alone():
    (port,) = yaml.safe_load(configuration(COMPOSE)[1])["services"]["head"]["ports"]
    assert port["host_ip"] == "127.0.0.1"


def test_a_folder_takes_the_volume_s_place():
    services = yaml.safe_load(configuration(COMPOSE, RUNS="/somewhere/runs")[1])["services"]
    for service in services.values():
        (runs,) = (each for each in service["volumes"] if each["target"] == "/runs")
        assert runs["type"] == "bind" and runs["source"] == "/somewhere/runs"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("healthcheck:", "healthchecks:"), ("cap_drop: [ALL]", "cap_drop: ALL"), ("[ray]", "[rays]")],
)
def test_compose_refuses_a_broken_file(tmp_path: Path, right: str, wrong: str):
    broken = tmp_path / "compose.yaml"
    broken.write_text(COMPOSE.read_text(encoding="utf-8").replace(right, wrong))
    code, text = configuration(broken)
    assert code != 0, text
