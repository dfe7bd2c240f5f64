#!/bin/bash
# hosts.sh up DIR | down DIR: three "hosts" orch-s1..3 on this machine, each with its own network and
# host name, joined by a bridge; 10.79.0.1..3. Nothing is routed out of them.
set -euo pipefail
names="orch-s1 orch-s2 orch-s3"
case "$1" in
up)
    ip netns add orch-sw
    ip -n orch-sw link add br0 type bridge
    ip -n orch-sw link set br0 up
    for name in $names; do
        i=${name#orch-s}
        ip netns add "$name"
        ip -n orch-sw link add "p$i" type veth peer name eth0 netns "$name"
        ip -n orch-sw link set "p$i" master br0 up
        ip -n "$name" link set lo up
        ip -n "$name" addr add "10.79.0.$i/24" dev eth0
        ip -n "$name" link set eth0 up
        # Ray finds its own address by the route to 8.8.8.8; without one it takes 127.0.0.1.
        ip -n "$name" route add blackhole 8.8.8.8/32
        printf '127.0.0.1 localhost\n10.79.0.1 orch-s1\n10.79.0.2 orch-s2\n10.79.0.3 orch-s3\n' >"$2/hosts"
    done
    ;;
down)
    for name in $names orch-sw; do
        ip netns pids "$name" 2>/dev/null | xargs -r kill -9 2>/dev/null || true
        ip netns del "$name" 2>/dev/null || true
    done
    ;;
esac
