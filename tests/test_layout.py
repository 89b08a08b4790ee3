"""The layout of the package: which way imports go, and what only some modules may do."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "kore"
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))

# What a wing may import beside itself: wings, or single modules of them.
BASE = ("common", "data", "scoring", "network")
MAY_IMPORT = {
    "common": (),
    "data": BASE[:1],
    "conversion": BASE[:2],
    "scoring": BASE[:2],
    "network": BASE[:3],
    "prediction": BASE,
    "evaluation": (*BASE, "prediction"),
    "inspection": (*BASE, "evaluation.figures"),
    "training": (*BASE, "prediction"),
    "pretraining": (*BASE, "prediction", "training"),
    "studies": (*BASE, "prediction", "training", "evaluation"),
    "extraction": (*BASE, "prediction"),
    "serve": (*BASE, "prediction", "extraction"),
}
# What a single module may import as well: a run draws its curves, and nothing below it.
MODULE_MAY_IMPORT = {
    "training/task_run.py": ("evaluation.figures",),
    "pretraining/run.py": ("evaluation.figures",),
    "extraction/run.py": ("evaluation.graph_figure",),
}
DRAWING_WINGS = {"evaluation", "inspection", "studies"}
LIGHT = {"__future__", "collections", "dataclasses", "kore", "typing"}


def imports_of(tree: ast.AST) -> list[str]:
    """Names of all that is imported, in functions and under TYPE_CHECKING too."""
    return [
        f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]


def faults_of(module: str, source: str) -> list[str]:
    """What breaks the layout in a module, which is named by its path in the package."""
    wing, _, file = module.rpartition("/")
    is_command = not wing or file == "run.py" or file.endswith("_run.py")
    tree = ast.parse(source)
    faults = []
    for name in imports_of(tree):
        top, _, inner = name.partition(".")
        places = [wing, *MAY_IMPORT.get(wing, ()), *MODULE_MAY_IMPORT.get(module, ())]
        within = tuple(f"{place}." for place in [*places, "__version__"])
        if wing and top == "kore" and not f"{inner}.".startswith(within):
            faults.append(f"imports {name}")
        if top in {"matplotlib", "seaborn"} and wing not in DRAWING_WINGS:
            faults.append(f"draws with {top}")
        if file == "options.py" and top not in LIGHT:
            faults.append(f"--help would import {top}")
        # A value of a search space is read as the flag would be.
        if inner.endswith(".parse_options") and not (is_command or file == "search_space.py"):
            faults.append("reads flags")
    prints = any(isinstance(node, ast.Name) and node.id == "print" for node in ast.walk(tree))
    if prints and not is_command and module != "common/errors.py":
        faults.append("prints")
    if wing and file == "__init__.py" and source:
        faults.append("is not empty")
    return faults


@pytest.mark.parametrize("module", MODULES)
def test_every_module_keeps_to_the_layout(module: str) -> None:
    assert faults_of(module, (PACKAGE / module).read_text(encoding="utf-8")) == []


def test_every_wing_has_its_place() -> None:
    assert {module.partition("/")[0] for module in MODULES if "/" in module} == set(MAY_IMPORT)


@pytest.mark.parametrize(
    ("module", "source", "faults"),
    [
        ("data/rows.py", "from kore.network import model", ["imports kore.network.model"]),
        (
            "data/rows.py",
            "def f():\n    import kore.scoring.voting",
            ["imports kore.scoring.voting"],
        ),
        (
            "data/rows.py",
            "if TYPE_CHECKING:\n    from kore.cli import run",
            ["imports kore.cli.run"],
        ),
        ("inspection/run.py", "from kore.evaluation import run", ["imports kore.evaluation.run"]),
        ("training/run.py", "import matplotlib.pyplot", ["draws with matplotlib"]),
        ("network/model.py", "print(1)", ["prints"]),
        ("network/options.py", "import torch", ["--help would import torch"]),
        ("data/rows.py", "from kore.common.flags import parse_options", ["reads flags"]),
        ("data/__init__.py", "import os", ["is not empty"]),
        ("training/task_run.py", "from kore.evaluation import figures\nprint(1)", []),
        ("cli.py", "from kore.studies import run\nprint(1)", []),
    ],
)
def test_every_rule_is_seen_broken(module: str, source: str, faults: list[str]) -> None:
    assert faults_of(module, source) == faults
