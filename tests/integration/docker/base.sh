#!/usr/bin/env bash
# base.sh DIR: DIR/base.tar, a stand-in for python:3.11-slim-bookworm, which cannot be pulled where
# only package registries are reached: Debian's own Python 3.11 in /usr, and no python.org build in /usr/local.
set -euo pipefail
dir=$(realpath -m "$1")
[ -s "$dir/base.tar" ] && exit 0
mkdir -p "$dir"
root=$(mktemp -d "$dir/rootfs.XXXXXX")
trap 'rm -rf "$root"' EXIT
# the machine's own mirror
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' | awk '$2 == "bookworm" { print $1; exit }')
debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates \
  bookworm "$root" "${mirror:-http://deb.debian.org/debian}" >"$dir/debootstrap.log" 2>&1 \
  || { tail -n 5 "$dir/debootstrap.log" >&2; exit 1; }
rm -f "$root"/usr/lib/python3.11/EXTERNALLY-MANAGED
ln -sf python3 "$root/usr/bin/python"
# what this machine trusts, its package registries among them
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/usr/share/{doc,man,locale}/*
tar -C "$root" -c . >"$dir/base.tar.part"
mv "$dir/base.tar.part" "$dir/base.tar"
