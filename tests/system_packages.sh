#!/usr/bin/env bash
# Installs the Debian packages that the tests drive: a browser, PostgreSQL, Redis, and what previews are drawn with.
# Only what is absent.
set -euo pipefail

declare -A packages=(
    [chromium]=/usr/bin/chromium
    [postgresql]=/usr/lib/postgresql
    [redis-server]=/usr/bin/redis-server
    [libegl1]="/usr/lib/*/libEGL.so.1"
    [libgl1-mesa-dri]="/usr/lib/*/dri/swrast_dri.so"
)
absent=()
for package in "${!packages[@]}"; do
    compgen -G "${packages[$package]}" >/dev/null || absent+=("$package")
done
if ((${#absent[@]} == 0)); then
    echo "Every Debian package the tests need is there."
    exit 0
fi

if ! command -v apt-get >/dev/null; then
    echo "This is no Debian: install yourself what provides ${absent[*]}." >&2
    exit 1
elif ((EUID == 0)); then
    as_root=()
elif command -v sudo >/dev/null; then
    as_root=(sudo)
else
    echo "Ask an administrator: apt-get install --no-install-recommends ${absent[*]}" >&2
    exit 1
fi
"${as_root[@]}" apt-get update -qq
# No service is to be started: the tests run private ones.
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -qq --no-install-recommends "${absent[@]}"
