# Make .venv agree with poetry.lock. train.sh, inference.sh, test.sh and .ci/run source this with the
# dependency groups they need:
#
#     source ./setup.sh main [dev]
#
# Afterwards $PYTHON is the interpreter. Where .venv is ready this takes about two seconds; otherwise
# pip makes it from poetry.lock, with the CPU build of torch where no NVIDIA GPU is found. The scripts
# run KoRE from src, so KoRE itself is not installed. A .venv that was not made here (by
# `poetry install`, for example) is used as it is. Written for bash 3.2, which macOS has.
set -euo pipefail

KORE_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
KORE_VENV="$KORE_ROOT/.venv"
# Marks a .venv as made by this script: empty until .venv is complete, then "sources|device|groups".
KORE_STAMP="$KORE_VENV/.kore-setup"
PYTHON="$KORE_VENV/bin/python"

kore_fail() {
  echo "$*" >&2
  exit 2
}

kore_sources() {
  (cd "$KORE_ROOT" && cat poetry.lock .python-version setup.sh src/tools/locked_requirements.py) |
    cksum
}

kore_device() {
  if command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; then
    echo cuda
  else
    echo cpu
  fi
}

kore_is_current() {
  local sources device groups
  [ -x "$PYTHON" ] && [ -s "$KORE_STAMP" ] || return 1
  IFS='|' read -r sources device groups <"$KORE_STAMP"
  [ "$sources" = "$(kore_sources)" ] || return 1
  # A CUDA build runs without a GPU too, so only a CPU build needs to look for a GPU again.
  [ "$device" = cuda ] || [ "$device" = "$(kore_device)" ]
}

# Prints the groups .venv has and those wanted besides; fails where it has them all.
kore_more_groups() {
  local present group more=""
  present="$(cut -d '|' -f 3 "$KORE_STAMP")"
  for group in "$@"; do
    case " $present " in *" $group "*) ;; *) more="$more $group" ;; esac
  done
  [ -n "$more" ] && echo "$present$more"
}

# A Python of the version in .python-version that can make environments.
kore_find_python() {
  local version candidate
  version="$(cat "$KORE_ROOT/.python-version")"
  for candidate in "python$version" python3 python \
    "${PYENV_ROOT:-${HOME:-}/.pyenv}/versions/$version"*/bin/python; do
    if "$candidate" -c "import ensurepip, sys, venv
sys.exit('%d.%d' % sys.version_info[:2] != '$version')" >/dev/null 2>&1; then
      echo "$candidate"
      return
    fi
  done
  kore_fail "KoRE needs Python $version with its venv module, which was not found:" \
    "install it, for example with \"pyenv install $version\", and run this again."
}

# pip would compile every module to bytecode, on one core; kore_compile does it faster.
kore_pip() {
  "$PYTHON" -m pip install -qq --disable-pip-version-check --no-input --no-deps --no-compile "$@"
}

# On all cores, without the thousands of modules that nobody imports. A module that does not compile
# is no error: some packages ship templates.
kore_compile() {
  "$PYTHON" -m compileall -qq -j 0 -x '/tests/|/transformers/models/' "$KORE_VENV/lib" || true
}

kore_install_locked() {
  "$PYTHON" "$KORE_ROOT/src/tools/locked_requirements.py" "$@" >"$KORE_VENV/requirements.txt"
  kore_pip --require-hashes -r "$KORE_VENV/requirements.txt" ||
    kore_fail "Setting up .venv failed: pip could not install what poetry.lock lists (see above)."
}

# kore_install DEVICE GROUP...
kore_install() {
  local device="$1" torch torch_job
  shift
  # The locked torch for Linux is built with CUDA; the one for macOS runs on the CPU anyway.
  if [ "$device" = cuda ] || [ "$(uname -s)" != Linux ]; then
    kore_install_locked "$@"
    return
  fi
  torch="$("$PYTHON" "$KORE_ROOT/src/tools/locked_requirements.py" main |
    sed -n 's/^\(torch==[^ ]*\).*/\1+cpu/p')"
  # Unpacking torch takes as long as everything else, so the two run in parallel.
  kore_pip "$torch" 2>/dev/null &
  torch_job=$!
  kore_install_locked --without-cuda "$@"
  wait "$torch_job" || {
    echo "pip finds no $torch here and takes the CUDA build (gigabytes) instead." >&2
    kore_install_locked "$@"
  }
}

kore_make_venv() {
  local base="$1"
  rm -rf "$KORE_VENV.new" "$KORE_VENV.old"
  # The stamp comes first and the folder by renaming: at no moment does it look like a user's .venv.
  mkdir "$KORE_VENV.new"
  : >"$KORE_VENV.new/.kore-setup"
  if [ -d "$KORE_VENV" ]; then mv "$KORE_VENV" "$KORE_VENV.old"; fi
  mv "$KORE_VENV.new" "$KORE_VENV"
  rm -rf "$KORE_VENV.old"
  "$base" -m venv "$KORE_VENV" >&2 || kore_fail "Setting up .venv failed: \"$base -m venv\" failed."
}

kore_setup() {
  local base device groups
  if kore_is_current; then
    groups="$(kore_more_groups "$@")" || return 0
    base="$PYTHON"
  else
    base="$(kore_find_python)"
  fi
  (
    # One process at a time sets up. The lock is held by file 9 and released when this subshell ends.
    "$base" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
    if kore_is_current; then
      groups="$(kore_more_groups "$@")" || exit 0
      echo "Adding to .venv: now $groups ..." >&2
    else
      groups="$*"
      echo "Setting up .venv (once, about a minute, longer with a GPU) ..." >&2
      kore_make_venv "$base"
    fi
    device="$(kore_device)"
    kore_install "$device" $groups
    kore_compile
    echo "$(kore_sources)|$device|$groups" >"$KORE_STAMP.new"
    mv "$KORE_STAMP.new" "$KORE_STAMP"
  ) 9>"$KORE_VENV.lock"
}

if [ -d "$KORE_VENV" ] && [ ! -e "$KORE_STAMP" ]; then
  [ -x "$PYTHON" ] || kore_fail "$KORE_VENV holds no bin/python: remove that folder and try again."
  "$PYTHON" -c 'import sys
from importlib.util import find_spec
sys.exit(None in map(find_spec, ("torch", "transformers", "accelerate")))' || kore_fail \
    "This .venv lacks the packages of KoRE: run \"poetry install\", or remove .venv."
  case " $* " in
    *" dev "*)
      "$PYTHON" -c 'import pytest' 2>/dev/null ||
        kore_fail "This .venv has no pytest: run \"poetry install --with dev\", or remove .venv." ;;
  esac
else
  kore_setup "$@"
fi
