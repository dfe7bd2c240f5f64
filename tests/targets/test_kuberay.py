"""The target kuberay: k8s/ filled in as data, and what is asked of an API server (here a stand-in)."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.config import load_experiment
from orchestrator.config.targets import KubeRayOptions
from orchestrator.errors import ExperimentFileError, PlaceError, RunExistsError, UnknownNameError
from orchestrator.targets import Job, SentFile, Submission, kuberay
from orchestrator.targets.rayjob import KUEUE, manifests, resource_name
from tests.deployment.validators import ROOT, pods
from tests.targets.api_server import (
    CONFIG_MAPS,
    PODS,
    RAYJOBS,
    ApiServer,
    pod,
    serving,
    write_kubeconfig,
)

TWO_GROUPS = [{"name": "small"}, {"name": "gpu", "gpus": 1, "node_selector": {"pool": "gpu"}}]


def submission(
    options: dict[str, Any], run: str = "digits", files: tuple[SentFile, ...] = ()
) -> Submission:
    read = KubeRayOptions.model_validate(options)
    document = "name: digits\nmodel: mlp\n"
    return Submission(run, document, files, read, read.storage or "", "/somewhere/runs")


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


def test_what_is_not_asked_for_stays_as_it_is_in_k8s():
    _, rayjob = manifests(submission({}))
    bundled = yaml.safe_load((ROOT / "k8s/base/rayjob/rayjob.yaml").read_text(encoding="utf-8"))
    theirs, ours = (
        bundled["spec"]["rayClusterSpec"],
        copy.deepcopy(rayjob["spec"]["rayClusterSpec"]),
    )
    for kept in ("rayVersion", "authOptions"):
        assert ours[kept] == theirs[kept]
    for (_, our), (_, their) in zip(pods(ours), pods(theirs), strict=True):
        assert our["securityContext"] == their["securityContext"]
        mine, its = our["containers"][0], their["containers"][0]
        for kept in ("securityContext", "readinessProbe", "volumeMounts"):
            assert mine[kept] == its[kept]


def test_two_groups_of_workers_share_nothing():
    _, rayjob = manifests(submission({"workers": TWO_GROUPS}))
    small, gpu = rayjob["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert "nodeSelector" not in small["template"]["spec"]
    assert gpu["template"]["spec"]["nodeSelector"] == {"pool": "gpu"}


def test_a_queue_is_a_label_of_the_rayjob_alone():
    _, rayjob = manifests(submission({"queue": "team"}))
    assert rayjob["metadata"]["labels"].pop(KUEUE) == "team"
    assert "team" not in yaml.safe_dump(rayjob)


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"autoscaling": True}, "queue: expected no queue beside autoscaling.* Received: 'team'"),
        ({"workers": [{}] * 7}, "workers: expected at most 6 groups beside a queue.* Received: 7"),
    ],
)
def test_what_kueue_would_refuse_is_refused_here(tmp_path, options, refusal):
    file = tmp_path / "experiment.yaml"
    file.write_text("{name: digits, model: mlp, data: digits, search_space: mlp}")
    written = f"target={yaml.safe_dump({'kuberay': {'queue': 'team'} | options})}"
    with pytest.raises(ExperimentFileError, match=refusal):
        load_experiment(file, [written])
    KubeRayOptions.model_validate(options)


@pytest.mark.parametrize("run", ["Digits_2", "x" * 60, "9lives", "a.b", "__"])
def test_any_run_s_name_becomes_a_name_that_kubernetes_takes(run):
    name = resource_name(run)
    assert len(name) <= 47 and name[0].isalpha() and name[-1].isalnum()
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert name != resource_name(run + "-")


def test_a_secret_in_the_environment_is_refused():
    with pytest.raises(ExperimentFileError, match="a manifest is no place for a secret"):
        manifests(submission({"environment": {"TOKEN": "${ENV:TOKEN}"}}))


def test_what_no_config_map_holds_is_named_with_its_size(tmp_path):
    (tmp_path / "big.npz").write_bytes(bytes(1_200_000))
    with pytest.raises(PlaceError, match=r"at most 1 MB .* 1\.2 MB"):
        manifests(submission({}, files=(SentFile(tmp_path / "big.npz", "big.npz"),)))


def test_a_job_goes_through_its_states(api, files):
    job = kuberay.submit(submission({"namespace": "tuning"}, files=files))
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
        ("Retrying", "FAILED", "queued"),
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
    kuberay.submit(submission({"namespace": "tuning"}))
    with pytest.raises(RunExistsError, match="no RayJob of that name under way"):
        kuberay.submit(submission({"namespace": "tuning"}))
    first = api.kept[f"{RAYJOBS}/digits"]
    first["status"] = {"jobDeploymentStatus": "Failed", "jobStatus": "FAILED"}
    kuberay.submit(submission({"namespace": "tuning"}))
    assert api.kept[f"{RAYJOBS}/digits"]["metadata"]["uid"] != first["metadata"]["uid"]


def test_stopping_suspends_and_under_kueue_deletes(api):
    job = kuberay.submit(submission({"namespace": "tuning"}))
    kuberay.stop(job)
    assert kuberay.state(job).state == "stopped"
    queued = kuberay.submit(submission({"namespace": "tuning", "queue": "team"}, run="other"))
    api.kept[f"{RAYJOBS}/other"]["status"] = {"jobDeploymentStatus": "Suspended"}
    assert kuberay.state(queued).state == "queued", "Kueue has not let it in yet"
    kuberay.stop(queued)
    assert f"{RAYJOBS}/other" not in api.kept


def test_logs_are_the_submitter_s_latest_pod_s(api):
    job = kuberay.submit(submission({"namespace": "tuning"}))
    assert list(kuberay.logs(job, follow=False)) == []
    status = {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}
    api.kept[f"{RAYJOBS}/digits"]["status"] = status
    with pytest.raises(PlaceError, match="the submitter's Pod"):
        kuberay.logs(job, follow=False)
    api.kept[PODS] = [pod("old", day=1), pod("new", day=2)]
    api.kept[f"{PODS}/new/log"] = "0/4 trials\n4/4 trials\n"
    assert "".join(kuberay.logs(job, follow=False)) == "0/4 trials\n4/4 trials\n"


def test_a_log_that_breaks_off_is_one_sentence(api):
    job = kuberay.submit(submission({"namespace": "tuning"}))
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
        kuberay.submit(submission({"namespace": "tuning"}))


def test_a_server_that_does_not_answer_is_said(tmp_path, monkeypatch):
    write_kubeconfig(tmp_path / "kubeconfig", 9)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    with pytest.raises(PlaceError, match="expected an API server that answers"):
        kuberay.submit(submission({}))


def test_a_missing_kubeconfig_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(PlaceError, match="expected a kubeconfig"):
        kuberay.submit(submission({}))


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
