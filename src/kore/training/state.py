"""The state of a run, in its `last.pth`: what it takes to continue where the run stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kore.common.errors import UserError
from kore.common.manifest import Manifest, with_defaults
from kore.network.checkpoint import load_payload, save_payload
from kore.training.options import OptimizationOptions

_VERSION = 2  # of the state's own content; 0.5 counted none


def save_state(path: Path, kind: str, manifest: Manifest, content: dict[str, Any]) -> None:
    """Writes the state of a run that was begun with the settings of `manifest`.

    Args:
        kind: what `load_state` knows it by.

    Raises:
        UserError: the file cannot be written; an earlier state survives.
    """
    own = {"state_version": _VERSION, "manifest": manifest.settings}
    save_payload(path, kind, {**own, **content})


def load_state(
    path: Path, kind: str, manifest: Manifest, options: OptimizationOptions, remedy: str
) -> dict[str, Any]:
    """The state that a run left, for one with the same settings.

    Args:
        options: those of `manifest`.
        remedy: what else the user can do than to give the same settings.

    Raises:
        UserError: it is damaged, of another version of KoRE, or was begun with other settings.
    """
    state = load_payload(path, kind)
    if state.get("state_version") != _VERSION:
        raise UserError(
            f"{path} was written by another version of KoRE; finish that run with that version, "
            f"or {remedy}"
        )
    before = with_defaults(options, state["manifest"])
    manifest.refuse_changes(before, f"the run in {path.parent}", remedy)
    return state
