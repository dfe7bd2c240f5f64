
# One node: the run starts a Ray of its own, and its files go with it.
export RAY_TMPDIR=$tmp
clean_up() { rm -rf "$tmp" "$RAY_AUTH_TOKEN_PATH"; }
trap clean_up EXIT
rm -rf "$tmp"
mkdir -m 700 "$tmp" || exit 1
