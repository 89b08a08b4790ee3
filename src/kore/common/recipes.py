"""Recipes: files of flags, `recipes/NAME.json`.

    {"about": "what it is", "recipe": "the one it starts from", "scheduler": "cosine", ...}

A recipe's flags stand before those of the command line, which therefore win.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from kore.common import resources
from kore.common.errors import UserError, nearest
from kore.common.files import read_json

FOLDER = resources.FOLDER / "recipes"
ABOUT, BASE = "about", "recipe"
_RENAMED = {"processor": "mini_cpu"}  # earlier names, which still work


def recipe_flags(
    name: str, known: Collection[str], removed: Mapping[str, str] | None = None
) -> list[str]:
    """The flags of a recipe as a command line has them.

    Args:
        name: of a file in `recipes/` without its suffix, or the path of a .json file.
        known: names of the command's flags.
        removed: flags of earlier versions, and why each was removed.

    Raises:
        UserError: there is no such recipe, or it holds something else than flags.
    """
    return as_arguments(read_recipe(name, known, removed))


def read_recipe(
    name: str, known: Collection[str], removed: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Flags and their values, those of the recipes it starts from among them."""
    flags: dict[str, Any] = {}
    seen: list[str] = []
    while name:
        path = _path(name)
        if name in seen:
            raise UserError(f"{path}: starts from itself ({' -> '.join([*seen, name])})")
        seen.append(name)
        flags = {**_read(path, known, removed), **flags}
        name = flags.pop(BASE, "")
        if name.endswith(".json"):  # beside the recipe that names it
            name = str(path.parent / name)
    return flags


def as_arguments(flags: dict[str, Any]) -> list[str]:
    """{"seed": 7} -> ["--seed", "7"]."""
    return [text for name, value in flags.items() for text in (f"--{name}", str(value))]


def unknown_flag(
    name: str, known: Collection[str], removed: Mapping[str, str] | None = None
) -> str:
    """What a message says of a flag that is none of the known ones."""
    if removed and name in removed:
        return f"the flag {name!r} was removed in KoRE 0.6 ({removed[name]}); leave it out"
    return f"no flag {name!r}; did you mean {nearest(name, known)}?"


def _read(path: Path, known: Collection[str], removed: Mapping[str, str] | None) -> dict[str, Any]:
    flags = read_json(path)
    if not isinstance(flags, dict):
        raise UserError(f'{path}: expected flags such as {{"num_epochs": 5}}')
    for key, value in flags.items():
        if key not in {ABOUT, BASE, *known}:
            raise UserError(f"{path}: {unknown_flag(key, known, removed)}")
        if key == BASE and not isinstance(value, str):
            raise UserError(f"{path}: {BASE} is {value!r}, expected the name of a recipe")
        if not isinstance(value, str | int | float):
            raise UserError(f"{path}: {key} is {value!r}, expected a string, number or true/false")
    flags.pop(ABOUT, None)
    return flags


def _path(name: str) -> Path:
    if name.endswith(".json"):
        return Path(name)
    path = FOLDER / f"{_RENAMED.get(name, name)}.json"
    if not path.is_file():
        known = [found.stem for found in FOLDER.glob("*.json")]
        raise UserError(f"`recipe` {name}: no such recipe; did you mean {nearest(name, known)}?")
    return path
