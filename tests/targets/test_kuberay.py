"""The target kuberay: what is asked of an API server (here a stand-in)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import PlaceError, RunExistsError, UnknownNameError
from orchestrator.targets import Job, SentFile, kuberay
from tests.deployment.validators import ROOT
from tests.targets.api_server import (
    CONFIG_MAPS,
    PODS,
    RAYJOBS,
    ApiServer,
    pod,
    serving,
    write_kubeconfig,
)
from tests.targets.submissions import to_kuberay


@pytest.fixture
def files(tmp_path: Path) -> tuple[SentFile, ...]:
    (tmp_path / "net.py").write_text("def build():\n    pass\n")
    (tmp_path / "data.npz").write_bytes(b"\xff\x00\xfe")
    return (
        SentFile(tmp_path / "net.py", "net.py"),
        SentFile(tmp_path / "data.npz", "sets/data.npz"),
    )


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    with serving(tmp_path / "kubeconfig") as server:
        yield server


def test_a_job_goes_through_its_states(api, files):
    job = kuberay.submit(to_kuberay({"namespace": "tuning"}, files=files))
    assert job.handle == "kuberay://tuning/digits"
    owner = api.kept[f"{CONFIG_MAPS}/digits-experiment"]["metadata"]["ownerReferences"]
    assert owner[0]["uid"] == api.kept[f"{RAYJOBS}/digits"]["metadata"]["uid"]
    assert "fieldValidation=Strict" in next(
        each for each in api.asked if each.startswith("POST /apis")
    )
    assert kuberay.state(job).state == "queued"
    for deployment, rays, state in [
        ("Initializing", "", "queued"),
        ("Running", "PENDING", "queued"),
        ("Running", "RUNNING", "running"),
        ("Running", "FAILED", "running"),
        ("Running", "SUCCEEDED", "running"),
        ("Running", "STOPPED", "running"),
        ("Retrying", "FAILED", "queued"),
        ("Initializing", "FAILED", "queued"),
        ("Waiting", "FAILED", "queued"),
        ("Suspending", "RUNNING", "running"),
        ("Suspended", "", "stopped"),
        ("Complete", "SUCCEEDED", "finished"),
        ("Complete", "STOPPED", "stopped"),
        ("Failed", "FAILED", "failed"),
        ("ValidationFailed", "", "failed"),
    ]:
        status = {"jobDeploymentStatus": deployment, "jobStatus": rays, "message": "because"}
        api.kept[f"{RAYJOBS}/digits"]["status"] = status
        found = kuberay.state(job)
        assert (found.state, found.reason) == (state, "because"), status
    del api.kept[f"{RAYJOBS}/digits"]
    assert kuberay.state(job).state == "lost"


def test_a_job_that_has_ended_is_replaced_and_one_under_way_is_not(api):
    kuberay.submit(to_kuberay({"namespace": "tuning"}))
    with pytest.raises(RunExistsError, match="no RayJob of that name under way"):
        kuberay.submit(to_kuberay({"namespace": "tuning"}))
    first = api.kept[f"{RAYJOBS}/digits"]
    for deployment in ("Running", "Retrying"):
        first["status"] = {"jobDeploymentStatus": deployment, "jobStatus": "FAILED"}
        with pytest.raises(RunExistsError):
            kuberay.submit(to_kuberay({"namespace": "tuning"}))
    first["status"] = {"jobDeploymentStatus": "Failed", "jobStatus": "FAILED"}
    kuberay.submit(to_kuberay({"namespace": "tuning"}))
    assert api.kept[f"{RAYJOBS}/digits"]["metadata"]["uid"] != first["metadata"]["uid"]


@pytest.mark.parametrize("requests", range(8))
def test_a_replaced_job_has_its_config_map_whenever_the_old_one_is_collected(api, requests):
    kuberay.submit(to_kuberay({"namespace": "tuning"}))
    old = api.kept[f"{RAYJOBS}/digits"]
    old["status"] = {"jobDeploymentStatus": "Failed", "jobStatus": "FAILED"}
    api.slow_collector = requests
    kuberay.submit(to_kuberay({"namespace": "tuning"}))
    for _ in range(8):  # until the collector has come
        kuberay.state(Job("kuberay", "tuning/digits"))
    (owner,) = api.kept[f"{CONFIG_MAPS}/digits-experiment"]["metadata"]["ownerReferences"]
    assert (
        owner["uid"] == api.kept[f"{RAYJOBS}/digits"]["metadata"]["uid"] != old["metadata"]["uid"]
    )


def test_stopping_suspends_and_under_kueue_deletes(api):
    job = kuberay.submit(to_kuberay({"namespace": "tuning"}))
    kuberay.stop(job)
    assert kuberay.state(job).state == "stopped"
    queued = kuberay.submit(to_kuberay({"namespace": "tuning", "queue": "team"}, run="other"))
    api.kept[f"{RAYJOBS}/other"]["status"] = {"jobDeploymentStatus": "Suspended"}
    assert kuberay.state(queued).state == "queued", "Kueue has not let it in yet"
    kuberay.stop(queued)
    assert f"{RAYJOBS}/other" not in api.kept


@pytest.fixture
def lingering(api: ApiServer) -> list[Any]:
    """A head that is there for as many looks as the list is long."""
    labels = {"app.kubernetes.io/instance": "digits", "ray.io/node-type": "head"}
    heads = [pod("digits-head", **labels)] * 2
    api.kept[PODS] = lambda: [heads.pop()] if heads else []
    return heads


@pytest.mark.parametrize("queue", [{}, {"queue": "team"}])
def test_stopping_returns_once_the_head_is_gone(api, lingering, queue):
    job = kuberay.submit(to_kuberay({"namespace": "tuning"} | queue))
    kuberay.stop(job)
    assert lingering == []


def test_a_new_job_meets_no_driver_of_the_old_one(api, lingering):
    kuberay.submit(to_kuberay({"namespace": "tuning"}))
    api.kept[f"{RAYJOBS}/digits"]["status"] = {"jobDeploymentStatus": "Suspended"}
    kuberay.submit(to_kuberay({"namespace": "tuning"}))
    assert lingering == []


def test_a_cluster_that_does_not_end_is_said(api, lingering, monkeypatch):
    job = kuberay.submit(to_kuberay({"namespace": "tuning"}))
    monkeypatch.setattr(kuberay, "POLITE_SECONDS", 0)
    with pytest.raises(PlaceError, match="digits-head is still there"):
        kuberay.stop(job)


def test_logs_are_the_submitter_s_latest_pod_s(api):
    job = kuberay.submit(to_kuberay({"namespace": "tuning"}))
    assert list(kuberay.logs(job, follow=False)) == []
    status = {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}
    api.kept[f"{RAYJOBS}/digits"]["status"] = status
    with pytest.raises(PlaceError, match="the submitter's Pod"):
        kuberay.logs(job, follow=False)
    api.kept[PODS] = [pod("old", day=1), pod("new", day=2)]
    api.kept[f"{PODS}/new/log"] = "0/4 trials\n4/4 trials\n"
    assert "".join(kuberay.logs(job, follow=False)) == "0/4 trials\n4/4 trials\n"


def test_following_goes_on_with_the_pod_of_each_retry_until_the_job_has_ended(api):
    job = kuberay.submit(to_kuberay({"namespace": "tuning"}))
    rayjob = api.kept[f"{RAYJOBS}/digits"]

    def first() -> str:
        rayjob["status"] = {"jobDeploymentStatus": "Retrying", "jobStatus": "FAILED"}
        api.kept[PODS] = [pod("first", day=1), pod("second", day=2)]
        return "0/4 trials\n"

    def second() -> str:
        rayjob["status"] = {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}
        return "4/4 trials\n"

    api.kept |= {f"{PODS}/first/log": first, f"{PODS}/second/log": second}
    api.kept[PODS] = [pod("first", day=1)]
    assert "".join(kuberay.logs(job, follow=True)) == "0/4 trials\n4/4 trials\n"
    api.kept[PODS] = []
    with pytest.raises(PlaceError, match="the submitter's Pod"):
        list(kuberay.logs(job, follow=True))


def test_a_log_that_breaks_off_is_one_sentence(api):
    job = kuberay.submit(to_kuberay({"namespace": "tuning"}))
    status = {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}
    api.kept[f"{RAYJOBS}/digits"]["status"] = status
    api.kept[PODS] = [pod("new", day=1)]
    api.kept[f"{PODS}/new/log"] = "0/4 trials\n"
    output = kuberay.logs(job, follow=False)
    api.cuts_off = True
    with pytest.raises(PlaceError, match=r"expected an API server that answers\. Received: .*read"):
        list(output)


@pytest.mark.parametrize("name", ["tuning/nobody", "nobody", "a/b/c"])
def test_an_unknown_job_is_said(api, name):
    with pytest.raises(UnknownNameError):
        kuberay.state(Job("kuberay", name))


def test_what_the_server_refuses_is_said_in_its_words(api):
    api.refuses = 403
    with pytest.raises(PlaceError, match="403 rayjobs is forbidden: you may not"):
        kuberay.submit(to_kuberay({"namespace": "tuning"}))


def test_a_server_that_does_not_answer_is_said(tmp_path, monkeypatch):
    write_kubeconfig(tmp_path / "kubeconfig", 9)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    with pytest.raises(PlaceError, match="expected an API server that answers"):
        kuberay.submit(to_kuberay({}))


def test_a_missing_kubeconfig_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(PlaceError, match="expected a kubeconfig"):
        kuberay.submit(to_kuberay({}))


def test_a_missing_client_is_one_sentence_with_how_to_get_it(tmp_path):
    program = (
        "import sys; sys.modules['kubernetes'] = None\n"
        "from orchestrator.targets import Job, kuberay\n"
        "kuberay.state(Job('kuberay', 'a/b'))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT
    )
    assert "PlaceError: kubernetes: expected this Python package" in ended.stderr
    assert "pip install 'orchestrator[kubernetes]'" in ended.stderr
