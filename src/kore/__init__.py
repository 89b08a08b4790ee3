"""KoRE: Korean relation extraction.

    import kore

    model = kore.load("models/first.pth")
    model.predict(sentence, subject=(13, 19, "PER"), object=(24, 27, "ORG"))
    kore.extract("…").triples

What is named here is loaded when it is first used, so that `import kore` takes no time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kore.common.errors import UserError
    from kore.data.schema import Entity, Example, Span
    from kore.extraction.api import extract
    from kore.extraction.pipeline import Extraction
    from kore.extraction.triples import Triple
    from kore.prediction.api import Model, Prediction, load, read
    from kore.prediction.evaluate import evaluate
    from kore.scoring.metrics import Scores

__version__ = "0.6.0"

__all__ = [
    "Entity",
    "Example",
    "Extraction",
    "Model",
    "Prediction",
    "Scores",
    "Span",
    "Triple",
    "UserError",
    "__version__",
    "evaluate",
    "extract",
    "load",
    "read",
]

_MODULES = {
    "Entity": "kore.data.schema",
    "Example": "kore.data.schema",
    "Extraction": "kore.extraction.pipeline",
    "Model": "kore.prediction.api",
    "Prediction": "kore.prediction.api",
    "Scores": "kore.scoring.metrics",
    "Span": "kore.data.schema",
    "Triple": "kore.extraction.triples",
    "UserError": "kore.common.errors",
    "evaluate": "kore.prediction.evaluate",
    "extract": "kore.extraction.api",
    "load": "kore.prediction.api",
    "read": "kore.prediction.api",
}


def __getattr__(name: str) -> Any:
    """Loads what `__all__` names (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module 'kore' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
