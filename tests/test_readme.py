"""The README keeps its promises: its commands run, its two languages agree, its files exist."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
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


@pytest.mark.skipif(not (REPOSITORY / ".venv").exists(), reason="runs as train.sh does, in .venv")
def test_every_command_runs(clone: Path) -> None:
    """Blocks marked bash alone; those marked gpu, network or no-test say why they are not run."""
    commands = [body for info, body in blocks("README.md") if info == "bash"]
    assert len(commands) >= 6
    script = "set -eu\n" + "\n".join(commands)
    for info, body in blocks("README.md"):
        if info == "python":
            script += f"\nPYTHONPATH=src python - <<'END_OF_BLOCK'\n{body}END_OF_BLOCK\n"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "MPLBACKEND": "Agg"}
    result = subprocess.run(
        ["bash", "-c", script],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert (clone / "outputs" / "mini-1_test_data.csv").exists()
    assert (clone / "outputs" / "report" / "scores.json").exists()
    assert "Next: bash inference.sh" in result.stdout


def test_unrun_blocks_say_why() -> None:
    infos = {info for info, _ in blocks("README.md")}
    assert infos <= {"bash", "bash gpu", "bash network", "bash no-test", "csv", "text", "python"}


def test_both_languages_have_the_same_headings_and_code() -> None:
    assert headings("README.md") == headings("README.ko.md")
    runnable = [body for info, body in blocks("README.md") if info.startswith("bash")]
    assert runnable == [body for info, body in blocks("README.ko.md") if info.startswith("bash")]


def test_links_and_listed_files_exist() -> None:
    for readme in ("README.md", "README.ko.md"):
        text = (REPOSITORY / readme).read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
            assert (REPOSITORY / target).exists(), f"{readme} links to {target}"
        for path in re.findall(r"\b(?:src|tests|benchmarks)/[\w/]+\.(?:py|md)\b", text):
            assert (REPOSITORY / path).exists(), f"{readme} names {path}"
