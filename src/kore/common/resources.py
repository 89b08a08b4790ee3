"""Files that ship with KoRE: label maps, class shares, inverse relations, recipes."""

from __future__ import annotations

import os
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]  # the folder that holds the package
FOLDER = Path(__file__).resolve().parents[1] / "resources"
_IN_REPOSITORY = "src/tools/"  # where they were up to KoRE 0.5, and how commands still name them


def python_path() -> str:
    """PYTHONPATH of a process that imports this `kore`."""
    return os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH", "")]))


def find_file(path: str | Path) -> Path:
    """The user's file of that path, or the one of that name that ships with KoRE; else `path`.

    "src/tools/dict_label_to_num.pkl" and "klue_inverses.json" are found from any folder, and after
    an installation.
    """
    shipped = FOLDER / Path(path).as_posix().removeprefix(_IN_REPOSITORY)
    return shipped if not Path(path).exists() and shipped.is_file() else Path(path)
