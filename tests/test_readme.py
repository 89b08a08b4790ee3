"""The README keeps its promises: its commands run, its two languages agree, its files exist."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.runs import REPOSITORY

FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(readme: str) -> list[tuple[str, str]]:
    """(what stands after the fence, content) of every code block."""
    text = (REPOSITORY / readme).read_text(encoding="utf-8")
    return [(match["info"], match["body"]) for match in FENCE.finditer(text)]


def headings(readme: str) -> list[int]:
    """The level of every heading outside code, in order."""
    text = FENCE.sub("", (REPOSITORY / readme).read_text(encoding="utf-8"))
    return [len(match[1]) for match in re.finditer(r"^(#+) \S", text, re.MULTILINE)]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's files without the user's, sharing the environment."""
    folder = tmp_path_factory.mktemp("clone") / "KoRE with a space"
    ignored = shutil.ignore_patterns(".git", ".venv*", "*.csv", "*.pth", "__pycache__", ".*_cache")
    shutil.copytree(REPOSITORY, folder, ignore=ignored)
    for name in ("data", "models", "outputs"):
        shutil.rmtree(folder / name)
        (folder / name).mkdir()
    (folder / ".venv").symlink_to(REPOSITORY / ".venv")
    return folder


@pytest.fixture(scope="module")
def readme_run(clone: Path) -> subprocess.CompletedProcess[str]:
    """Every block marked bash alone, in order, then the python ones, as one session.

    Blocks marked gpu, network or no-test say why they are not run.
    """
    if not (REPOSITORY / ".venv").exists():
        pytest.skip("the commands run in .venv, which setup.sh or Poetry makes")
    script = "set -eu\n"
    for info, body in blocks("README.md"):
        if info == "bash":
            script += body
        elif info == "python":
            script += f"PYTHONPATH=src python - <<'END_OF_BLOCK'\n{body}END_OF_BLOCK\n"
    return subprocess.run(
        ["bash", "-c", script],
        cwd=clone,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=900,
    )


def test_every_command_runs(clone: Path, readme_run: subprocess.CompletedProcess[str]) -> None:
    assert readme_run.returncode == 0, readme_run.stderr[-3000:]
    assert "Next: bash inference.sh" in readme_run.stdout
    for path in ("mini-1_test_data.csv", "report/scores.json", "report/confusion_matrix.png"):
        assert (clone / "outputs" / path).exists()


@pytest.mark.usefixtures("readme_run")
def test_notebooks_run_on_what_the_readme_leaves(clone: Path) -> None:
    notebooks = sorted((clone / "notebooks").glob("*.ipynb"))
    assert notebooks
    for notebook in notebooks:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        result = subprocess.run(
            [sys.executable, "-c", "\n".join(code)],
            cwd=clone / "notebooks",
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert result.returncode == 0, f"{notebook.name}: {result.stderr[-3000:]}"


def test_unrun_blocks_say_why() -> None:
    infos = {info for info, _ in blocks("README.md")}
    assert infos <= {"bash", "bash gpu", "bash network", "bash no-test", "csv", "text", "python"}


def test_both_languages_have_the_same_headings_and_code() -> None:
    assert headings("README.md") == headings("README.ko.md")
    runnable = [body for info, body in blocks("README.md") if info.startswith("bash")]
    assert runnable == [body for info, body in blocks("README.ko.md") if info.startswith("bash")]


def test_nothing_is_left_to_fill_in() -> None:
    for readme in ("README.md", "README.ko.md"):
        assert not re.search(r"RESULTS_|TODO|TBD", (REPOSITORY / readme).read_text("utf-8"))


def test_links_and_listed_files_exist() -> None:
    for readme in ("README.md", "README.ko.md"):
        text = (REPOSITORY / readme).read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
            assert (REPOSITORY / target).exists(), f"{readme} links to {target}"
        for path in re.findall(r"\b(?:src|tests|benchmarks)/[\w/]+\.(?:py|md)\b", text):
            assert (REPOSITORY / path).exists(), f"{readme} names {path}"
