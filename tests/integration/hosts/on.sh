#!/bin/bash
# on.sh DIR I COMMAND...: run a command on "host" orch-hI: its own network, host name and /dev/shm.
set -euo pipefail
dir=$1 network=$(basename "$1")-$2 name=orch-h$2
shift 2
exec nsenter --net="/run/netns/$network" unshare --mount --uts bash -c '
    hostname "$1"
    mount --bind "$2/hosts" /etc/hosts
    mount -t tmpfs -o size=512m tmpfs /dev/shm
    shift 2
    exec "$@"' _ "$name" "$dir" "$@"
