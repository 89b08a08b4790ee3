#!/usr/bin/env bash
# Set up the environment, then run the tests: bash test.sh [options of pytest]
# The tests need no network, no GPU and no display. Two files of them run at a time, each on a core.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source ./setup.sh main dev export notebooks ray search extract serve
export HF_HUB_OFFLINE=1 MPLBACKEND=Agg OMP_NUM_THREADS=1
exec "$PYTHON" -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@"
