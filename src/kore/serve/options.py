"""Options of the service."""

from __future__ import annotations

from dataclasses import dataclass

from kore.common.flags import BATCH_TOKENS, Checked, DeviceOptions, option
from kore.extraction.options import ReadingOptions


@dataclass
class LimitOptions(Checked, group="Limits"):
    """What the service takes, so that nobody can fill its memory."""

    max_characters: int = option(10_000, "longest text", within="[1, 10000000]")
    max_body: int = option(1_000_000, "largest body of a request, in bytes", within="[1, inf)")
    body_seconds: float = option(
        10.0, "how long a client may take to send its body", within="(0, 3600]"
    )
    queue_size: int = option(
        256, "requests that wait, of each kind; any further one is answered 503", within="[1, inf)"
    )
    batch_size: int = option(
        32, "most requests that are computed together; 1 = each by itself", within="[1, 100000]"
    )


@dataclass
class ServeOptions(ReadingOptions, LimitOptions, DeviceOptions, group="Service"):
    emotion_model: str = option(
        "", "classifier of emotions (.pth), for POST /emotion; '' = none", essential=True
    )
    host: str = option(
        "127.0.0.1", "address to listen on; 0.0.0.0 = all of this machine", essential=True
    )
    port: int = option(8000, "0 = any free one", within="[0, 65535]", essential=True)
    model_dir: str = option("models", "folder where checkpoints are looked for")
    batch_tokens: int = option(
        BATCH_TOKENS, "most tokens computed at once, padding included", within="[16, 10000000]"
    )
