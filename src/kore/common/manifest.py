"""Was it begun with the same settings? What a run's results depend on, written and compared."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from kore.common.errors import UserError
from kore.common.files import atomic_write, checksum, read_json


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
        files: Mapping[str, Path] | None = None,
        **more: Any,
    ) -> Manifest:
        """The manifest of a command's options, files and whatever else counts.

        Args:
            options: a dataclass; each of its fields counts.
            free: names of fields that may differ, since no result depends on them.
            files: by the name of the field that holds the path. The content counts, the path does
                not: a file may be moved. One that is not there has no content.
        """
        files = files or {}
        fields = vars(options) if options is not None else {}
        settings = {
            f"`{name}`": value
            for name, value in fields.items()
            if name not in free and name not in files
        }
        settings |= {
            f"the content of `{name}`": checksum(path) if path.exists() else None
            for name, path in files.items()
        }
        return cls({**settings, **more})

    def changes(self, before: Mapping[str, Any]) -> list[str]:
        """What differs from the settings of an earlier manifest, each in a few words."""
        return [
            _change(name, before.get(name), value)
            for name, value in self.settings.items()
            if before.get(name) != value
        ]

    def refuse_changes(self, before: Mapping[str, Any], begun: Path | str, remedy: str) -> None:
        """Stops before results of other settings are mixed with these.

        Args:
            begun: what was begun with the settings `before`.
            remedy: what else the user can do than to give the same settings.

        Raises:
            UserError: something differs.
        """
        changed = self.changes(before)
        if changed:
            raise UserError(
                f"{begun} was begun with other settings ({'; '.join(changed)}); give the same "
                f"ones, or {remedy}"
            )

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
    """Settings of an older run, which lacks the options that are newer than it: their defaults."""
    defaults = {f"`{field.name}`": field.default for field in dataclasses.fields(options)}
    return {**defaults, **before}


def _change(name: str, before: Any, now: Any) -> str:
    """A checksum tells a reader nothing: that it differs is enough."""
    if name.startswith("the content of"):
        return f"{name} has changed"
    return f"{name} was {before}, is {now}"
