
set -uo pipefail  # not before setup: modules and activate scripts do not bear it

# Ray answers only to who has this job's token. What an earlier try of the job left goes first.
unset RAY_ADDRESS RAY_AUTH_TOKEN
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$job/slurm-$SLURM_JOB_ID.token
export RAY_USAGE_STATS_ENABLED=0 PYTHONUNBUFFERED=1
rm -f "$job"/slurm-*.token
(umask 077 && head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"$RAY_AUTH_TOKEN_PATH")
trap 'rm -f "$RAY_AUTH_TOKEN_PATH"' EXIT
