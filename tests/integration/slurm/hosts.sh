#!/bin/bash
# hosts.sh up DIR | down DIR: the networks of three "hosts" on this machine, 10.79.0.1..3, joined by a bridge.
# They are named after DIR, so that two tests do not meet. Nothing is routed out of them.
set -euo pipefail
tag=$(basename "$2")
case "$1" in
up)
    ip netns add "$tag-switch"
    ip -n "$tag-switch" link add br0 type bridge
    ip -n "$tag-switch" link set br0 up
    for i in 1 2 3; do
        name=$tag-$i
        ip netns add "$name"
        ip -n "$tag-switch" link add "p$i" type veth peer name eth0 netns "$name"
        ip -n "$tag-switch" link set "p$i" master br0 up
        ip -n "$name" link set lo up
        ip -n "$name" addr add "10.79.0.$i/24" dev eth0
        ip -n "$name" link set eth0 up
        # Ray finds its own address by the route to 8.8.8.8; without one it takes 127.0.0.1.
        ip -n "$name" route add blackhole 8.8.8.8/32
        printf '127.0.0.1 localhost\n10.79.0.1 orch-s1\n10.79.0.2 orch-s2\n10.79.0.3 orch-s3\n' >"$2/hosts"
    done
    ;;
down)
    for name in "$tag-1" "$tag-2" "$tag-3" "$tag-switch"; do
        ip netns pids "$name" 2>/dev/null | xargs -r kill -9 2>/dev/null || true
        ip netns del "$name" 2>/dev/null || true
    done
    ;;
esac
