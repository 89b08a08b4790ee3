"""`import _path` puts KoRE and its commands on the path, wherever a benchmark is started from."""

import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"
sys.path[:0] = [str(SOURCE), str(SOURCE / "tools")]
