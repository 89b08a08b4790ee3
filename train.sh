#!/usr/bin/env bash
# Set up the environment, then train: bash train.sh [flags of src/train.py]
# Works from the repository root, so relative paths among the flags start there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source ./setup.sh main
exec "$PYTHON" src/tools/quickstart.py train "$@"
