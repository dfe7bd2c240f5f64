"""What --dry-run prints, whole, in golden/: written anew by ``GOLDEN=write pytest tests/targets/test_golden.py``."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from orchestrator.targets import find_target
from tests.deployment.validators import faults

GOLDEN = Path(__file__).parent / "golden"
FULL_SLURM = (
    "target.slurm={partition: gpu, account: lab, qos: high, time: '1-12', nodes: 4, cpus: 16, gpus: 2, memory: 64G,"
    " constraint: a100, extra: '--mail-type=END', setup: ['module load python', 'source env/bin/activate'],"
    " requeue: 0, warning_seconds: 300}"
)
FULL_RAY = (
    "target.ray={address: 'https://head', token: '${ENV:RAY_TOKEN}', packages: [einops], cpus: 1, gpus: 0.5,"
    " environment: {KEY: '${ENV:KEY}'}, memory: 1000000, resources: {big: 1}, python: python3}"
)
FULL_DOCKER = (
    "target.docker={image: 'registry.example.com/orchestrator:0.1.0-gpu', storage: /results,"
    " mounts: ['/data sets:/data:ro'],"
    " gpus: all, cpus: 2.5, memory: 8Gi, shm_size: 2G, network: none, user: '1000:1000',"
    " environment: {LEVEL: two words, TOKEN: '${ENV:MY_TOKEN}'}, extra: [--read-only, --tmpfs=/tmp]}"
)
FULL_KUBERAY = (
    "target.kuberay={namespace: tuning, context: here, image: 'registry.example.com/orchestrator:0.1.0',"
    " image_pull_secrets: [registry], service_account: tuner, storage: /results, storage_claim: shared, cpus: 0.5,"
    " memory: 2Gi, workers: [{name: small, replicas: 2, min_replicas: 1, max_replicas: 8, cpus: 4, memory: 8Gi},"
    " {name: gpu, gpus: 1, memory: 16G, node_selector: {pool: gpu}}], autoscaling: true,"
    " tolerations: [{key: nvidia.com/gpu, effect: NoSchedule}], environment: {HTTPS_PROXY: 'http://proxy:3128'},"
    " secrets: [tracking], retries: 5, time_limit_seconds: 7200, ttl_seconds: 600}"
)
CASES = {
    "local.sh": ("local", ()),
    "slurm-one-node.sh": ("slurm", ()),
    "slurm-full.sh": ("slurm", (FULL_SLURM,)),
    "slurm-image.sh": (
        "slurm",
        ("target.slurm.image=/images/orchestrator.sif", "target.slurm.gpus=1"),
    ),
    "ray.json": ("ray", ()),
    "ray-full.json": ("ray", (FULL_RAY,)),
    "docker.sh": ("docker", ("target.docker.user='1000:1000'",)),
    "docker-full.sh": ("docker", (FULL_DOCKER,)),
    "kuberay.yaml": ("kuberay", ()),
    "kuberay-full.yaml": ("kuberay", (FULL_KUBERAY,)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_dry_run_prints_what_it_did(name, submission, portable):
    target, overrides = CASES[name]
    printed = portable(find_target(target).prepare(submission(target, *overrides)))
    file = GOLDEN / name
    if os.environ.get("GOLDEN") == "write":
        file.write_text(printed)
    assert printed == file.read_text()


@pytest.mark.parametrize("name", [name for name in CASES if name.endswith(".sh")])
def test_a_script_is_one_that_bash_can_read(name):
    done = subprocess.run(["bash", "-n", str(GOLDEN / name)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", [name for name in CASES if name.endswith(".yaml")])
def test_a_manifest_is_one_that_a_strict_server_takes(name):
    assert faults(yaml.safe_load_all((GOLDEN / name).read_text())) == []
