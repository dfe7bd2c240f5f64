#!/bin/bash
# on.sh DIR I COMMAND...: run a command on "host" orch-sI. (Not by "ip netns exec", which mounts another
# /sys over this one: slurmd then finds no cgroups and dies.)
set -euo pipefail
dir=$1 network=$(basename "$1")-$2 name=orch-s$2
shift 2
exec nsenter --net="/run/netns/$network" unshare --mount --uts bash -c '
    hostname "$1"
    mount --bind "$2/hosts" /etc/hosts
    mount -t tmpfs -o size=1g tmpfs /dev/shm
    shift 2
    exec "$@"' _ "$name" "$dir" "$@"
