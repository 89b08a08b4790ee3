"""Was a run begun with the same settings? What differs, in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from kore.common.errors import UserError


def changed_flags(before: Mapping[str, Any], options: Any, free: Collection[str]) -> list[str]:
    """What differs between the flags of a saved run and those of now, each told in a few words.

    A flag that is newer than the saved run had its default then.

    Args:
        free: names of flags that may differ.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(options)}
    now = {f"`{name}`": value for name, value in vars(options).items() if name not in free}
    return differences({f"`{name}`": value for name, value in {**defaults, **before}.items()}, now)


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What of `now` differs from `before`, each told in a few words."""
    return [
        f"{name} was {before.get(name)}, is {value}"
        for name, value in now.items()
        if before.get(name) != value
    ]


def refuse_changes(last: Path, changed: Sequence[str]) -> None:
    """Raises UserError where a run would go on from the state in `last` otherwise than before."""
    if changed:
        raise UserError(
            f"{last} belongs to a run with other flags ({'; '.join(changed)}); give the same "
            "flags, or another `run_name`"
        )
