
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
