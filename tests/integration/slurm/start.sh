#!/bin/bash
# start.sh DIR: a real Slurm on this machine: controller on orch-s1, one node each on orch-s2 and orch-s3.
# Everything lies in DIR; nothing in /etc is touched. Then: SLURM_CONF=DIR/slurm.conf on.sh DIR 1 sinfo
set -euo pipefail
here=$(dirname "$(realpath "$0")")
dir=$(realpath -m "$1")
mkdir -p "$dir"/{state,spool-orch-s2,spool-orch-s3,log}
chmod 755 "$dir"
"$here/hosts.sh" up "$dir"
head -c 1024 /dev/urandom >"$dir/munge.key"
chmod 400 "$dir/munge.key"
munged --key-file="$dir/munge.key" --socket="$dir/munge.sock" --pid-file="$dir/munged.pid" \
    --log-file="$dir/log/munged.log" --seed-file="$dir/munge.seed" --force
cat >"$dir/slurm.conf" <<CONF
ClusterName=orchestrator
SlurmctldHost=orch-s1(10.79.0.1)
SlurmUser=root
AuthInfo=socket=$dir/munge.sock,cred_expire=5
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd-%n.pid
SlurmdSpoolDir=$dir/spool-%n
StateSaveLocation=$dir/state
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
FirstJobId=$((1000 + $$ % 50000))
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
SlurmdTimeout=20
KillWait=5
SchedulerParameters=sched_interval=2,bf_interval=2
SlurmdParameters=config_overrides
NodeName=orch-s2 NodeAddr=10.79.0.2 CPUs=2 RealMemory=8000 State=UNKNOWN
NodeName=orch-s3 NodeAddr=10.79.0.3 CPUs=2 RealMemory=8000 State=UNKNOWN
PartitionName=debug Nodes=orch-s2,orch-s3 Default=YES MaxTime=01:00:00 State=UP
CONF
# cred_expire: a requeued job waits that long, by default two minutes. FirstJobId: what a job leaves on a node
# is named after its number, and this machine may have other Slurms.
export SLURM_CONF=$dir/slurm.conf
"$here/on.sh" "$dir" 1 slurmctld -i
"$here/on.sh" "$dir" 2 slurmd
"$here/on.sh" "$dir" 3 slurmd
for _ in $(seq 120); do
    "$here/on.sh" "$dir" 1 sinfo --noheader --format='%D %t' 2>/dev/null | grep -q '2 idle' && exit 0
    sleep 0.25
done
echo "Slurm did not come up:" >&2
tail -n 20 "$dir"/log/*.log >&2
exit 1
