"""k8s/ filled in as data: the RayJob and the ConfigMap of a submission."""

from __future__ import annotations

import copy

import pytest
import yaml

from orchestrator.config import load_experiment
from orchestrator.config.targets import KubeRayOptions
from orchestrator.errors import ExperimentFileError, PlaceError
from orchestrator.targets import SentFile
from orchestrator.targets.kuberay.rayjob import KUEUE, manifests, resource_name
from tests.deployment.validators import ROOT, pods
from tests.targets.submissions import to_kuberay

TWO_GROUPS = [{"name": "small"}, {"name": "gpu", "gpus": 1, "node_selector": {"pool": "gpu"}}]


def test_what_is_not_asked_for_stays_as_it_is_in_k8s():
    _, rayjob = manifests(to_kuberay({}))
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
    _, rayjob = manifests(to_kuberay({"workers": TWO_GROUPS}))
    small, gpu = rayjob["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert "nodeSelector" not in small["template"]["spec"]
    assert gpu["template"]["spec"]["nodeSelector"] == {"pool": "gpu"}


def test_a_queue_is_a_label_of_the_rayjob_alone():
    _, rayjob = manifests(to_kuberay({"queue": "team"}))
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
        manifests(to_kuberay({"environment": {"TOKEN": "${ENV:TOKEN}"}}))


def test_what_no_config_map_holds_is_named_with_its_size(tmp_path):
    (tmp_path / "big.npz").write_bytes(bytes(1_200_000))
    with pytest.raises(PlaceError, match=r"at most 1 MB .* 1\.2 MB"):
        manifests(to_kuberay({}, files=(SentFile(tmp_path / "big.npz", "big.npz"),)))
