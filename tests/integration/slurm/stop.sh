#!/bin/bash
# stop.sh DIR: end the daemons that start.sh started, and take its hosts away.
dir=$(realpath -m "$1")
kill "$(cat "$dir/munged.pid")" 2>/dev/null
"$(dirname "$(realpath "$0")")/hosts.sh" down "$dir"
true
