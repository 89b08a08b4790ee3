"""Files that ship with KoRE: label maps, class shares, inverse relations, recipes."""

from __future__ import annotations

import os
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]  # what `import kore` needs on the path
FOLDER = Path(__file__).resolve().parents[1] / "resources"
_IN_REPOSITORY = "src/tools/"  # where a clone shows some of them


def python_path() -> str:
    """PYTHONPATH of a process that imports this `kore`."""
    return os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH", "")]))


def find_file(path: str | Path) -> Path:
    """The user's file of that path, or the one that ships under it; else the path as it is.

    "src/tools/dict_label_to_num.pkl" and "klue_inverses.json" are found from any folder, and after
    an installation.
    """
    shipped = FOLDER / Path(path).as_posix().removeprefix(_IN_REPOSITORY)
    return shipped if not Path(path).exists() and shipped.is_file() else Path(path)
