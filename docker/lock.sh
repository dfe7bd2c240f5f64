#!/usr/bin/env bash
# docker/lock.sh: the image's versions anew, from pyproject.toml (`make lock`). Needs uv.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
compile=(uv pip compile --quiet --no-header --no-annotate --python-version 3.11
  --python-platform x86_64-manylinux_2_28 --extra ray-jobs --output-file)

"${compile[@]}" "$scratch/cpu" --upgrade pyproject.toml
tensorflow=$(sed -n 's/^tensorflow-cpu==//p' "$scratch/cpu")
grep -v '^tensorflow-cpu==' "$scratch/cpu" >docker/requirements.txt
cat >docker/requirements-cpu.txt <<LOCK
tensorflow==$tensorflow ; platform_machine != 'x86_64'
tensorflow-cpu==$tensorflow ; platform_machine == 'x86_64'
LOCK

echo "tensorflow-cpu ; python_version < '3'" >"$scratch/without"
echo "tensorflow[and-cuda]==$tensorflow" >"$scratch/with"
"${compile[@]}" "$scratch/gpu" --override "$scratch/without" --constraint docker/requirements.txt \
  pyproject.toml "$scratch/with"
grep -vxF -f docker/requirements.txt "$scratch/gpu" >docker/requirements-gpu.txt
