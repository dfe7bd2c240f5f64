
# Several nodes: Ray's head on the first, where the run's driver is too, and a worker on each other.
# A cut cable is noticed within seconds and not after a minute:
export RAY_health_check_initial_delay_ms=5000 RAY_health_check_period_ms=1000
export RAY_health_check_timeout_ms=3000 RAY_health_check_failure_threshold=4

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
second=$(scontrol --oneliner show node "${nodes[1]}" | grep -o 'NodeAddr=[^ ]*' | cut -d= -f2)
read -r ip port < <("${python[@]}" -c '
import socket, sys
towards = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
towards.connect((sys.argv[1], 9))  # sends nothing: asks which address of ours leads there
free = socket.socket()
free.bind(("", 0))
print(towards.getsockname()[0], free.getsockname()[1])' "$second")
export RAY_ADDRESS=$ip:$port

ray_on_a_node() {  # until a signal comes; then its logs are kept and its files are not
    sweep /tmp/orch-*
    rm -rf "$tmp"
    mkdir -m 700 "$tmp" || exit 1
    trap : TERM USR2
    # Ray opens the folder that it is given to everybody: it is given one in ours.
    "${python[@]}" -P -m ray.scripts.scripts start "$@" --temp-dir="$tmp/r" --num-cpus="$cpus" \
        --num-gpus="$gpus" --dashboard-agent-listen-port=0 --disable-usage-stats --block &
    wait $!
    kill -KILL $! 2>/dev/null
    [ ! -d "$run" ] || "${python[@]}" -P -m orchestrator.records.node_logs \
        "$tmp/r/session_latest/logs" "$run" "slurm-$SLURM_JOB_ID" "$SLURMD_NODENAME"
    rm -rf "$tmp"
}

steps=()
on() {  # on NODE ARGUMENT...: Ray there, as a step of this job
    local node=$1 tmp=$tmp-${#steps[@]}  # a number: the names of Ray's sockets, below it, may not be long
    shift
    # Since Slurm 22.05 a step has no cpus-per-task from its job.
    srun --overlap --nodes=1 --ntasks=1 --cpus-per-task="$cpus" --nodelist="$node" bash -c \
        "$(declare -p python cpus gpus tmp run); $(declare -f sweep ray_on_a_node); ray_on_a_node $*" \
        >>"$job/slurm-$SLURM_JOB_ID-$node.log" 2>&1 &
    steps+=($!)
}
clean_up() {
    scancel --signal=USR2 "$SLURM_JOB_ID"  # to its steps; an srun that is killed kills without a word
    wait "${steps[@]}"
    rm -f "$RAY_AUTH_TOKEN_PATH"
}
trap clean_up EXIT

SECONDS=0  # setup took its time before
on "${nodes[0]}" --head --node-ip-address="$ip" --port="$port" --include-dashboard=false
until (exec 3<>"/dev/tcp/$ip/$port") 2>/dev/null; do
    kill -0 "${steps[0]}" 2>/dev/null && [ "$SECONDS" -lt 180 ] && sleep 0.5 && continue
    echo "Ray's head did not start on ${nodes[0]}:"
    tail -n 20 "$job/slurm-$SLURM_JOB_ID-${nodes[0]}.log"
    exit 1
done
for node in "${nodes[@]:1}"; do on "$node" --address="$RAY_ADDRESS"; done
