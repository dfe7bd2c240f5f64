#!/bin/sh
# digits: written by orchestrator submit --target local
job=/home/ada/runs/.jobs/digits
exec >"$job/local-$$.log" 2>&1 </dev/null
/python -P -m orchestrator run "$job/experiment.yaml" --or-resume
echo $? >"$job/local-$$.exit"
