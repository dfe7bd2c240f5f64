#!/bin/bash
# digits: written by orchestrator submit --target slurm
#SBATCH --job-name=digits
#SBATCH --partition=gpu
#SBATCH --account=lab
#SBATCH --qos=high
#SBATCH --time=1-12
#SBATCH --constraint=a100
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=2
#SBATCH --mem=64G
#SBATCH --output=/home/ada/runs/.jobs/digits/slurm-%j.log
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@300
#SBATCH --no-requeue
#SBATCH --mail-type=END

run=/home/ada/runs/digits
job=/home/ada/runs/.jobs/digits
python=(python3)
cpus=16 gpus=2 requeue=0
tmp=/tmp/orch-$SLURM_JOB_ID

# Until the run begins, a polite stop (TERM) or the time limit coming near (USR1) ends the job here.
not_begun() {
    trap '' TERM USR1
    echo "ended before the run began"
    echo 143 >"$job/slurm-$SLURM_JOB_ID.exit"
    exit 143
}
trap not_begun TERM USR1

# target.slurm.setup
module load python
source env/bin/activate

set -uo pipefail  # not before setup: modules and activate scripts do not bear it

sweep() {  # removes what jobs of ours left that were killed outright: such as Slurm no longer has
    local queued left number
    command -v pgrep >/dev/null || return
    queued=$(timeout 30 squeue --noheader --user="$UID" --format=%A 2>/dev/null) || return
    grep -qx "$SLURM_JOB_ID" <<<"$queued" || return
    for left in "$@"; do
        number=${left##*/}  # orch-421, orch-421-node1
        number=${number#*-}
        number=${number%%-*}
        [[ $number =~ ^[0-9]+$ && -O $left && ! -e $left/owner.json ]] || continue
        # A job of another Slurm that has this node, too, is in no queue of ours: its processes tell.
        grep -qx "$number" <<<"$queued" || pgrep -f -- "$left(/|$)" >/dev/null || rm -rf "$left"
    done
}

# Ray answers only to who has this job's token. What an earlier try of the job left goes first.
unset RAY_ADDRESS RAY_AUTH_TOKEN
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$job/slurm-$SLURM_JOB_ID.token
export RAY_USAGE_STATS_ENABLED=0 PYTHONUNBUFFERED=1
rm -f "$job"/slurm-*.token
sweep /tmp/orch-*
(umask 077 && head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"$RAY_AUTH_TOKEN_PATH")
trap 'rm -f "$RAY_AUTH_TOKEN_PATH"' EXIT

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

# The one command. Slurm's warning before the time limit (USR1) and a polite stop (TERM) interrupt
# it as Ctrl-C does: it writes down where it is, and --or-resume goes on from there.
"${python[@]}" -P -m orchestrator run "$job/experiment.yaml" --or-resume &
driver=$! near_the_limit='' again=1
trap 'again=1; near_the_limit=1; kill -TERM $driver 2>/dev/null' USR1
trap 'again=1; kill -TERM $driver 2>/dev/null' TERM
while [ "$again" ]; do
    again=''
    wait "$driver"
    code=$?
done
trap '' USR1 TERM

clean_up
trap - EXIT
echo "$code" >"$job/slurm-$SLURM_JOB_ID.exit"
if [ "$near_the_limit" ] && [ "$code" -ge 128 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt "$requeue" ]; then
    echo "the time limit is near: the job goes back into the queue, and on from here"
    scontrol requeue "$SLURM_JOB_ID" && sleep 300
fi
exit "$code"
