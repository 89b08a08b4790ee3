"""Models that ship with KoRE: small, made by its own commands, and there without a network."""

from __future__ import annotations

import re
from pathlib import Path

from kore.common.errors import UserError
from kore.common.files import checksum
from kore.common.flags import KORE_MINI
from kore.common.resources import FOLDER

RELATION_MODEL = f"{KORE_MINI}-re"
TAGGER = f"{KORE_MINI}-ner"
NAMES = (KORE_MINI, RELATION_MODEL, TAGGER)
CHECKSUMS = "SHA256SUMS"  # as sha256sum writes it

MODELS = FOLDER / "models"


def resolve(name_or_path: str) -> str:
    """The path of a model that ships, where `name_or_path` names one; else itself.

    A file or folder of the user's by that name goes first.

    Raises:
        UserError: a file of the shipped model is missing or damaged.
    """
    if name_or_path not in NAMES or Path(name_or_path).exists():
        return name_or_path
    folder = MODELS / name_or_path
    _check(folder)
    return str(folder)


def write_checksums(folder: Path) -> None:
    """Writes those of all files of a model but its card, which may be edited."""
    files = sorted(path for path in folder.iterdir() if path.name not in (CHECKSUMS, "README.md"))
    lines = [f"{checksum(path)}  {path.name}\n" for path in files]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def _check(folder: Path) -> None:
    try:
        text = (folder / CHECKSUMS).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    wanted = re.findall(r"^([0-9a-f]{64})  (\S+)$", text, re.MULTILINE)
    faults = [] if wanted else [CHECKSUMS]
    for digest, name in wanted:
        path = folder / name
        if not path.is_file() or checksum(path) != digest:
            faults.append(name)
    if faults:
        raise UserError(
            f"{folder}: {', '.join(faults)} of the model that ships with KoRE "
            f"{'is' if len(faults) == 1 else 'are'} missing or damaged; install KoRE again"
        )
