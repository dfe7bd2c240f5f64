#!/usr/bin/env bash
# node.sh up DIR BIN SOCKET: a Kubernetes 1.20 of one node: etcd, API server with RBAC and accounts, controllers, scheduler,
# and a kubelet on the Docker engine at SOCKET. To be run in the engine's network namespace. DIR/kubeconfig is the admin's.
# node.sh down DIR: end it.
set -euo pipefail
what=$1 dir=$(realpath -m "$2")

down() {
  for each in kubelet scheduler controllers api etcd; do
    [ -f "$dir/$each.pid" ] || continue
    pid=$(cat "$dir/$each.pid")
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
  done
  grep -o " $dir/[^ ]*" /proc/mounts | sort -r | while read -r mount; do umount "$mount" 2>/dev/null || true; done
  rm -rf "$dir"
}

start() {  # NAME COMMAND...
  local name=$1
  shift
  setsid "$@" >"$dir/$name.log" 2>&1 </dev/null &
  echo $! >"$dir/$name.pid"
}

until_true() {  # SECONDS COMMAND...
  local seconds=$1
  shift
  for _ in $(seq $((seconds * 2))); do "$@" >/dev/null 2>&1 && return 0; sleep 0.5; done
  tail -n 5 "$dir"/*.log >&2
  return 1
}

up() {
  local bin socket address=172.17.0.1 token
  bin=$(realpath "$1") socket=$2
  mkdir -p "$dir"/{etcd,certs,kubelet,others}
  cd "$dir"
  token=$(openssl rand -hex 16)
  openssl genrsa -out sa.key 2048 2>/dev/null
  echo "$token,admin,admin,system:masters" >tokens.csv
  start etcd etcd --data-dir etcd --unsafe-no-fsync --listen-client-urls http://127.0.0.1:23790 \
    --advertise-client-urls http://127.0.0.1:23790 --listen-peer-urls http://127.0.0.1:23800 \
    --initial-advertise-peer-urls http://127.0.0.1:23800 --initial-cluster default=http://127.0.0.1:23800
  start api "$bin/kube-apiserver" --etcd-servers=http://127.0.0.1:23790 --bind-address=0.0.0.0 --secure-port=26443 \
    --advertise-address=$address --cert-dir=certs --service-account-key-file=sa.key \
    --service-account-signing-key-file=sa.key --service-account-issuer=https://kubernetes.default.svc \
    --api-audiences=https://kubernetes.default.svc --token-auth-file=tokens.csv --authorization-mode=RBAC \
    --service-cluster-ip-range=10.0.0.0/24 --allow-privileged --kubelet-preferred-address-types=InternalIP
  cat >kubeconfig <<CONF
apiVersion: v1
kind: Config
clusters: [{name: here, cluster: {server: "https://$address:26443", certificate-authority: "$dir/certs/apiserver.crt"}}]
users: [{name: admin, user: {token: $token}}]
contexts: [{name: here, context: {cluster: here, user: admin}}]
current-context: here
CONF
  export KUBECONFIG=$dir/kubeconfig
  until_true 60 kubectl get --raw /readyz
  start controllers "$bin/kube-controller-manager" --kubeconfig=kubeconfig --leader-elect=false --cert-dir=others \
    --bind-address=127.0.0.1 --secure-port=26257 --port=0 --service-account-private-key-file=sa.key \
    --root-ca-file=certs/apiserver.crt --use-service-account-credentials=false \
    --controllers='*,-nodeipam,-attachdetach,-csrsigning,-csrapproving,-ttl'
  start scheduler "$bin/kube-scheduler" --kubeconfig=kubeconfig --leader-elect=false --bind-address=127.0.0.1 \
    --secure-port=26259 --port=0 --cert-dir=others
  start kubelet "$bin/kubelet" --kubeconfig=kubeconfig --container-runtime=docker --docker-endpoint="$socket" \
    --pod-infra-container-image=pause:here --cgroup-driver=cgroupfs --cgroups-per-qos=false --enforce-node-allocatable= \
    --fail-swap-on=false --hostname-override=node1 --node-ip=$address --root-dir="$dir/kubelet" \
    --cert-dir="$dir/kubelet/certs" --address=$address --healthz-port=0 --read-only-port=0 --oom-score-adj=0 \
    --eviction-hard= --network-plugin= --max-pods=20
  # There is no kube-proxy: the API server's service address leads to it all the same.
  iptables -t nat -A PREROUTING -d 10.0.0.1 -p tcp --dport 443 -j DNAT --to-destination $address:26443
  until_true 120 sh -c "kubectl get node node1 | grep -q ' Ready'"
  until_true 60 kubectl get serviceaccount default
}

case $what in
  up) down && up "$3" "$4" ;;
  down) down ;;
esac
