
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
