#!/usr/bin/env bash
# build.sh DIR: DIR/bin with kube-apiserver, controller-manager, scheduler and kubelet 1.20.2, built from the source package
# of Debian bookworm, since no package holds a server. About 8 minutes on one core, once; 2 GB while it works.
# Needs: golang-go golang-github-modern-go-reflect2-dev make patch rsync
set -euo pipefail
dir=$(realpath -m "$1") cores=${CORES:-1}
[ -x "$dir/bin/kubelet" ] && exit 0
work=$dir/build
rm -rf "$work"
mkdir -p "$work"/apt/{lists/partial,cache/archives/partial,etc} "$work/home"
cd "$work"

# A private apt state that knows source packages: the machine's own sources stay as they are.
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' | awk '$2 == "bookworm" { print $1; exit }')
echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm main" >apt/etc/sources.list
cat >apt/apt.conf <<CONF
Dir::Etc::sourcelist "$work/apt/etc/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "$work/apt/lists";
Dir::Cache "$work/apt/cache";
APT::Sandbox::User "root";
CONF
APT_CONFIG=$work/apt/apt.conf apt-get update -q
APT_CONFIG=$work/apt/apt.conf apt-get source --download-only -q -y kubernetes
tar xzf kubernetes_*.orig.tar.gz
mkdir -p deb
tar xJf kubernetes_*.debian.tar.xz -C deb
cd kubernetes-1.20.2
while read -r each; do patch -p1 -s <"../deb/debian/patches/$each"; done <../deb/debian/patches/series

# The vendored reflect2 1.0.1 crashes under Go 1.18 and newer; Debian packages 1.0.2.
rm -rf vendor/github.com/modern-go/reflect2
cp -r /usr/share/gocode/src/github.com/modern-go/reflect2 vendor/github.com/modern-go/reflect2
rm -f vendor/github.com/modern-go/reflect2/go.mod
mkdir -p .go/src/k8s.io
ln -sfn ../../.. .go/src/k8s.io/kubernetes
export GOPATH=$PWD/.go PATH=/usr/lib/go/bin:$PATH CGO_ENABLED=0 HOME=$work/home GOPROXY=off
export GOFLAGS=-p=$cores GOMAXPROCS=$cores GOCACHE=$work/gocache KUBE_BUILD_PLATFORMS=linux/amd64
nice -n 19 make WHAT="cmd/kube-apiserver cmd/kube-controller-manager cmd/kube-scheduler cmd/kubelet" GOLDFLAGS="-s -w"
mkdir -p "$dir/bin"
cp _output/local/bin/linux/amd64/kube* "$dir/bin/"
rm -rf "$work"
