"""Which of the processes of `accelerate launch` or torchrun this one is."""

from __future__ import annotations

import os


def is_launched() -> bool:
    """Whether this is one of several processes of `accelerate launch` or torchrun."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_main_process() -> bool:
    """Whether this process writes and reports what all of them would write and report alike."""
    return int(os.environ.get("RANK", "0")) == 0
