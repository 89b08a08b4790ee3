#!/usr/bin/env bash
# Set up the environment, then run the tests: bash test.sh [options of pytest]
# The tests need no network, no GPU and no display.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source ./setup.sh main torch dev export notebooks ray search
export HF_HUB_OFFLINE=1 MPLBACKEND=Agg
exec "$PYTHON" -m pytest "$@"
