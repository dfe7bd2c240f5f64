"""What --dry-run prints, whole, in golden/: written anew by ``GOLDEN=write pytest tests/targets/test_golden.py``."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from orchestrator.targets import find_target

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
