#!/bin/bash
# Lanes on a GPU in at most six minutes: benchmarks/lanes_on_gpu.sh [PYTHON] [FOLDER OF WHEELS]
#
# PYTHON (python3) has JAX for the device, and needs no TensorFlow and no Ray. Of the packages below, those that it lacks
# are installed into a venv beside it, from the folder where one is given, else from the index that pip knows. Prints how
# long an epoch of 64 lanes takes against one, and a whole run with lanes against the same run without, 16 trials each.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
python=${1:-python3} wheels=${2:-}
until=$((SECONDS + ${MOST_SECONDS:-350}))
left() { echo $((until - SECONDS > 1 ? until - SECONDS : 1)); }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

packages=(keras numpy scipy scikit-learn pandas pyarrow pydantic pyyaml psutil threadpoolctl jinja2 rich typer
  typing-extensions tabulate joblib optuna)
names=(keras numpy scipy sklearn pandas pyarrow pydantic yaml psutil threadpoolctl jinja2 rich typer typing_extensions
  tabulate joblib optuna)
missing=()
for at in "${!names[@]}"; do
  "$python" -c "import importlib.util as u, sys; sys.exit(u.find_spec('${names[at]}') is None)" || missing+=("${packages[at]}")
done
if ((${#missing[@]})); then
  "$python" -m venv --system-site-packages "$work/venv"
  from=()
  [ -n "$wheels" ] && from=(--no-index --find-links "$wheels")
  "$work/venv/bin/pip" install -q "${from[@]}" "${missing[@]}"
  python=$work/venv/bin/python
fi
"$python" -c "import jax; print(jax.devices())"

timeout "$(left)" "$python" "$root/benchmarks/lanes.py" --lanes ${LANES:-1 64} --epochs "${EPOCHS:-10}" ${MODELS:+--models $MODELS}

cat > "$work/own.yaml" <<YAML
backend: jax
model: mlp
data: digits
epochs: 9
seed: 1
search_space: {learning_rate: "loguniform(0.01, 0.3)", momentum: "uniform(0.5, 0.95)", dropout: "uniform(0.1, 0.4)"}
caviar: {num_samples: 16, scheduler: none, finalists: false}
YAML
cd "$work"
for lanes in 1 16 auto; do
  began=$(date +%s.%N)
  PYTHONPATH=$root timeout "$(left)" "$python" -m orchestrator run own.yaml --inline --set "name=lanes-$lanes" \
    --set "caviar.lanes=$lanes" > "$lanes.txt" 2>&1 || { tail -5 "$lanes.txt"; exit 1; }
  echo "a run of 16 trials of 9 epochs, lanes: $lanes: $("$python" -c "import time; print(round(time.time() - $began, 1))") s"
done
grep -h "lanes:" auto.txt
echo "$SECONDS s in all"
