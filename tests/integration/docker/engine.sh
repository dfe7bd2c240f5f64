#!/usr/bin/env bash
# engine.sh up DIR host|apart: a Docker engine of one's own, at DIR/docker.sock, its layers in DIR/data.
#   host   in this machine's network and without bridges or firewall rules: builds reach the package registries
#   apart  in a network namespace of its own: bridges and names between containers, nothing on this machine changed
# engine.sh down DIR: end it. ENGINE_SETTINGS: further settings, as daemon.json writes them.
set -euo pipefail
what=$1 dir=$(realpath -m "$2") network=${3:-apart}

down() {
  [ -f "$dir/engine.pid" ] || return 0
  local pid; pid=$(cat "$dir/engine.pid")
  kill "$pid" 2>/dev/null || true
  for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
  rm -f "$dir/engine.pid" "$dir/docker.sock"
}

up() {
  mkdir -p "$dir"
  printf '%s\n' "${ENGINE_SETTINGS:-{\}}" >"$dir/engine.json"
  local options=() apart=()
  if [ "$network" = host ]; then
    options=(--bridge=none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false)
  else
    apart=(unshare --net -- sh -c 'ip link set lo up; exec "$@"' apart)
  fi
  # `setsid`: an engine outlives the Ctrl-C that ends a test, and is then ended by `down`
  setsid "${apart[@]}" dockerd --config-file "$dir/engine.json" --data-root "$dir/data" --exec-root "$dir/exec" \
    --pidfile "$dir/engine.pid" --host "unix://$dir/docker.sock" --storage-driver overlay2 \
    "${options[@]}" >"$dir/engine.log" 2>&1 </dev/null &
  for _ in $(seq 150); do
    docker --host "unix://$dir/docker.sock" version >/dev/null 2>&1 && return 0
    kill -0 $! 2>/dev/null || break
    sleep 0.2
  done
  tail -n 5 "$dir/engine.log" >&2
  return 1
}

down
[ "$what" = down ] || up
