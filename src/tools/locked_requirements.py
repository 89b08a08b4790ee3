"""Print the packages of poetry.lock as pip requirements with hashes.

`python src/tools/locked_requirements.py [--without-cuda] GROUP ...` reads the poetry.lock of this
repository and writes one line per package to stdout, for `pip install --no-deps --require-hashes
-r`. The lines carry their markers, so that pip decides what this machine needs. Only the standard
library is imported: setup.sh runs this before anything is installed.
"""

import argparse
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

LOCK_FILE = Path(__file__).resolve().parents[2] / "poetry.lock"


def needs_cuda(name: str) -> bool:
    """Whether a package is torch, locked as its CUDA build, or one of the CUDA libraries."""
    return name in {"torch", "triton"} or name.startswith(("nvidia-", "cuda-"))


def marker_of(package: dict[str, Any], groups: set[str]) -> str:
    """The marker of a locked package for the chosen groups, "" where it is always installed."""
    markers = package.get("markers", "")
    if isinstance(markers, str):
        return markers
    chosen = [markers.get(group, "") for group in package["groups"] if group in groups]
    return " or ".join(f"({marker})" for marker in sorted(set(chosen))) if all(chosen) else ""


def requirement_lines(lock: dict[str, Any], groups: Iterable[str], cuda: bool) -> Iterator[str]:
    """One pip requirement with all its hashes per locked package of the groups."""
    wanted = set(groups)
    for package in lock["package"]:
        if wanted.isdisjoint(package["groups"]) or (needs_cuda(package["name"]) and not cuda):
            continue
        marker = marker_of(package, wanted)
        hashes = " ".join(f"--hash={file['hash']}" for file in package["files"])
        condition = f" ; {marker}" if marker else ""
        yield f"{package['name']}=={package['version']}{condition} {hashes}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("groups", nargs="*", default=["main"], help="groups of the lock")
    parser.add_argument("--without-cuda", action="store_true", help="leave out torch and CUDA")
    args = parser.parse_args()
    lock = tomllib.loads(LOCK_FILE.read_text(encoding="utf-8"))
    print(*requirement_lines(lock, args.groups, cuda=not args.without_cuda), sep="\n")


if __name__ == "__main__":
    main()
