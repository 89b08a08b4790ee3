"""Was it begun with the same settings? What a run's results depend on, written and compared."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from kore.common.errors import UserError
from kore.common.files import atomic_write, checksum, read_json

_CONTENT = "the content of "


class Manifest:
    """What the results of a run depend on; whoever continues it must have the same.

    Args:
        settings: by the name that a message gives them; values as JSON holds them.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings: dict[str, Any] = json.loads(json.dumps(settings))

    @classmethod
    def of(
        cls,
        options: Any = None,
        *,
        free: Collection[str] = (),
        files: Mapping[str, Path | None] | None = None,
        **more: Any,
    ) -> Manifest:
        """The manifest of a command's options, files and whatever else counts.

        Args:
            options: a dataclass; each of its fields counts.
            free: names of fields that may differ, since no result depends on them.
            files: by the name of the field that holds the path. The content counts, the path does
                not: a file may be moved. None, and a file that is not there, has no content.
            more: what else counts, by the name that a message gives it.
        """
        files = files or {}
        fields = vars(options) if options is not None else {}
        settings = {
            f"`{name}`": value
            for name, value in fields.items()
            if name not in free and name not in files
        }
        settings |= {
            f"{_CONTENT}`{name}`": checksum(path) if path is not None and path.exists() else None
            for name, path in files.items()
        }
        return cls({**settings, **more})

    def changes(self, before: Mapping[str, Any]) -> list[str]:
        """What differs from the settings of an earlier manifest, each in a few words."""
        unnamed = (name for name in before if name.startswith(_CONTENT))
        now = {**dict.fromkeys(unnamed), **self.settings}
        return [
            _change(name, before, value)
            for name, value in now.items()
            if _is_other(name, before, value)
        ]

    def refuse_changes(self, before: Mapping[str, Any], begun: Path | str, remedy: str) -> None:
        """Stops before results of other settings are mixed with these.

        Args:
            before: the settings it was begun with; none at all are those of a damaged manifest.
            begun: what was begun.
            remedy: what else the user can do than to give the same settings.

        Raises:
            UserError: something differs.
        """
        changed = self.changes(before) if before else ["its record of them is damaged"]
        if changed:
            raise UserError(
                f"{begun} was begun with other settings ({'; '.join(changed)}); give the same "
                f"ones, or {remedy}"
            )

    def begin_or_continue(self, path: Path, begun: Path | str, remedy: str) -> None:
        """Writes the settings to `path`, or where some are there, refuses others.

        Raises:
            UserError: `begun` was begun with other settings, or the file cannot be written.
        """
        if path.exists():
            self.refuse_changes(read_manifest(path), begun, remedy)
        else:
            self.write(path)

    def write(self, path: Path) -> None:
        """Writes the settings as JSON.

        Raises:
            UserError: the file cannot be written.
        """
        with atomic_write(path) as file:
            json.dump(self.settings, file, indent=2, ensure_ascii=False)
            file.write("\n")


def read_manifest(path: Path) -> dict[str, Any]:
    """The settings that `Manifest.write` wrote; a damaged file equals none.

    Raises:
        OSError: it cannot be read.
    """
    try:
        settings = read_json(path)
    except UserError:
        return {}
    return settings if isinstance(settings, dict) else {}


def with_defaults(options: Any, before: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a run that may be older than some options: those had their defaults."""
    defaults = {f"`{field.name}`": field.default for field in dataclasses.fields(options)}
    return {**defaults, **before}


def _is_other(name: str, before: Mapping[str, Any], now: Any) -> bool:
    if name.startswith(_CONTENT):  # a file that was not asked for yet is one that is not named
        return bool(before.get(name) != now)
    return name not in before or bool(before[name] != now)


def _change(name: str, before: Mapping[str, Any], now: Any) -> str:
    """A checksum says nothing to a reader: that it differs is enough."""
    if name.startswith(_CONTENT):
        return f"{name} {'is missing' if now is None else 'has changed'}"
    if name not in before:
        return f"{name} is {now} and was not recorded"
    return f"{name} was {before[name]}, is {now}"
