docker run \
  --detach \
  --label=orchestrator.run=digits \
  --init \
  --cap-drop=ALL \
  --security-opt=no-new-privileges \
  --user=1000:1000 \
  --volume=/home/ada/runs:/runs \
  --shm-size=1g \
  orchestrator orchestrator run /runs/.jobs/digits/experiment.yaml --or-resume
