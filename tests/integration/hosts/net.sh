#!/bin/bash
# net.sh up DIR N | cut DIR I | kill DIR I | down DIR: the networks of N "hosts" on this machine, 10.78.0.1..N, joined
# by a bridge. They are named after DIR, so that two tests do not meet. Nothing is routed out of them.
set -euo pipefail
tag=$(basename "$2")
end_all() { # of one network; what a dying process starts meanwhile too
    for _ in 1 2 3; do
        ip netns pids "$1" 2>/dev/null | xargs -r kill -9 2>/dev/null || true
    done
}
case "$1" in
up)
    ip netns add "$tag-switch"
    ip -n "$tag-switch" link add br0 type bridge
    ip -n "$tag-switch" link set br0 up
    echo '127.0.0.1 localhost' >"$2/hosts"
    for i in $(seq "$3"); do
        name=$tag-$i
        ip netns add "$name"
        ip -n "$tag-switch" link add "p$i" type veth peer name eth0 netns "$name"
        ip -n "$tag-switch" link set "p$i" master br0 up
        ip -n "$name" link set lo up
        ip -n "$name" addr add "10.78.0.$i/24" dev eth0
        ip -n "$name" link set eth0 up
        # Ray finds its own address by the route to 8.8.8.8; without one it takes 127.0.0.1.
        ip -n "$name" route add blackhole 8.8.8.8/32
        echo "10.78.0.$i orch-h$i" >>"$2/hosts"
    done
    ;;
cut) ip -n "$tag-switch" link set "p$3" down ;;
kill) end_all "$tag-$3" ;;
down)
    for name in $(ip netns list | cut -d' ' -f1); do
        case "$name" in "$tag"-*)
            end_all "$name"
            ip netns del "$name" || true
            ;;
        esac
    done
    ;;
esac
