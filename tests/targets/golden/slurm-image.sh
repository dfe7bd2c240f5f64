#!/bin/bash
# digits: written by orchestrator submit --target slurm
#SBATCH --job-name=digits
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=1
#SBATCH --gpus-per-node=1
#SBATCH --output=/home/ada/runs/.jobs/digits/slurm-%j.log
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120
#SBATCH --requeue

run=/home/ada/runs/digits
job=/home/ada/runs/.jobs/digits
python=(apptainer exec --nv --bind /home/ada/runs --bind /tmp)
reads=(/home/ada)
image=(/images/orchestrator.sif python3)
cpus=1 gpus=1 requeue=20
tmp=/tmp/orch-$SLURM_JOB_ID

# Until the run begins, a polite stop (TERM) or the time limit coming near (USR1) ends the job here.
not_begun() {
    trap '' TERM USR1
    echo "ended before the run began"
    echo 143 >"$job/slurm-$SLURM_JOB_ID.exit"
    exit 143
}
trap not_begun TERM USR1

# Apptainer shows the run what it reads, too; a folder that this node lacks would be refused.
for folder in "${reads[@]}"; do
    [ ! -d "$folder" ] || python+=(--bind "$folder")
done
python+=("${image[@]}")

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

# One node: the run starts a Ray of its own, and its files go with it.
export RAY_TMPDIR=$tmp
clean_up() { rm -rf "$tmp" "$RAY_AUTH_TOKEN_PATH"; }
trap clean_up EXIT
rm -rf "$tmp"
mkdir -m 700 "$tmp" || exit 1

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
