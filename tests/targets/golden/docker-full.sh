docker run \
  --detach \
  --label=orchestrator.run=digits \
  --init \
  --cap-drop=ALL \
  --security-opt=no-new-privileges \
  --user=1000:1000 \
  --volume=/home/ada/runs:/results \
  '--volume=/data sets:/data:ro' \
  --shm-size=2g \
  --memory=8g \
  --cpus=2.5 \
  --gpus=all \
  --network=none \
  '--env=LEVEL=two words' \
  --env=TOKEN \
  --read-only \
  --tmpfs=/tmp \
  registry.example.com/orchestrator:0.1.0-gpu orchestrator run /results/.jobs/digits/experiment.yaml --or-resume
