"""The README keeps its promises: its commands run, its two languages agree, its files exist."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
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
    for path in (
        *("mini-1_test_data.csv", "report/scores.json", "report/report.html"),
        *("check.json", "eda/labels.png", "other.csv"),
    ):
        assert (clone / "outputs" / path).exists()


@pytest.mark.usefixtures("readme_run")
@pytest.mark.parametrize(("name", "pictures"), [("explore", 0), ("eda", 8), ("error_analysis", 3)])
def test_notebooks_run_on_what_the_readme_leaves(clone: Path, name: str, pictures: int) -> None:
    notebook = nbformat.read(clone / "notebooks" / f"{name}.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # none are committed
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(clone / "notebooks")}},
    )
    client.execute()  # raises where a cell does
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    assert sum("image/png" in out.get("data", {}) for out in outputs) == pictures


def test_every_notebook_is_run() -> None:
    found = {path.stem for path in (REPOSITORY / "notebooks").glob("*.ipynb")}
    assert found == {"explore", "eda", "error_analysis"}


def test_unrun_blocks_say_why() -> None:
    infos = {info for info, _ in blocks("README.md")}
    assert infos <= {"bash", "bash gpu", "bash network", "bash no-test", "csv", "text", "python"}


def test_both_languages_have_the_same_headings_and_code() -> None:
    assert headings("README.md") == headings("README.ko.md")
    runnable = [body for info, body in blocks("README.md") if info.startswith("bash")]
    assert runnable == [body for info, body in blocks("README.ko.md") if info.startswith("bash")]


def test_both_languages_have_the_same_figures() -> None:
    def figures(readme: str) -> list[str]:
        text = FENCE.sub("", (REPOSITORY / readme).read_text(encoding="utf-8"))
        rows = [line for line in text.splitlines() if line.startswith("|")]
        return re.findall(r"[+-]?\d+\.\d+", "\n".join(rows))

    assert len(figures("README.md")) > 300
    assert figures("README.md") == figures("README.ko.md")


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
