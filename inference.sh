#!/usr/bin/env bash
# Set up the environment, then predict: bash inference.sh [flags of src/inference.py]
# Works from the repository root, so relative paths among the flags start there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source ./setup.sh main
exec "$PYTHON" src/tools/quickstart.py inference "$@"
