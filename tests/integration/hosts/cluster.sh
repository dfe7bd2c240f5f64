#!/bin/bash
# cluster.sh DIR I...: start Ray on these hosts, one core each; host 1 is the head, which must be there before others.
# PYTHON is the interpreter with Ray; RAY_AUTH_MODE and the token come from the environment, the same for all.
set -uo pipefail
here=$(dirname "$(realpath "$0")")
dir=$1
shift
# A cut cable is noticed within seconds and not after a minute; the head alone reads these.
export RAY_health_check_initial_delay_ms=5000 RAY_health_check_period_ms=1000
export RAY_health_check_timeout_ms=2000 RAY_health_check_failure_threshold=5
export RAY_USAGE_STATS_ENABLED=0
unset RAY_ADDRESS
ray_on() { # I ARGUMENT...
    local i=$1
    shift
    for try in 1 2 3; do
        "$here/on.sh" "$dir" "$i" "$PYTHON" -m ray.scripts.scripts start "$@" --node-ip-address="10.78.0.$i" \
            --num-cpus=1 --object-store-memory=80000000 --temp-dir="$dir/r$i.$try" >>"$dir/ray$i.log" 2>&1 </dev/null && return
        # On a crowded machine a node gives up on its own agent after 15 s and leaves half of itself behind.
        "$here/net.sh" kill "$dir" "$i"
    done
    tail -n 5 "$dir/ray$i.log" >&2
    return 1
}
started=()
for i in "$@"; do
    if [ "$i" = 1 ]; then
        ray_on 1 --head --port=6379 --include-dashboard=false || exit 1
    else
        ray_on "$i" --address=10.78.0.1:6379 &
        started+=($!)
    fi
done
for each in "${started[@]}"; do wait "$each" || exit 1; done
