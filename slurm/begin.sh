
# Until the run begins, a polite stop (TERM) or the time limit coming near (USR1) ends the job here.
not_begun() {
    trap '' TERM USR1
    echo "ended before the run began"
    echo 143 >"$job/slurm-$SLURM_JOB_ID.exit"
    exit 143
}
trap not_begun TERM USR1
