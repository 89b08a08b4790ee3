"""The documents keep their promises: commands run, flags and links exist, two languages agree."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
import re
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
from nbclient import NotebookClient
from tests.runs import REPOSITORY

import kore.cli
from kore.common.flags import parse_options
from kore.data.options import SampleOptions

# In the order in which their commands run, each on what the pages before it leave.
GUIDES = (
    *("training", "prediction", "ner", "extraction", "service", "emotion", "data"),
    *("evaluation", "ensembles", "pretraining", "export"),
)
RUN = ("README.md", *(f"docs/{name}.md" for name in GUIDES), "docs/python.md")
TRANSLATED = (
    "README.md",
    *(
        f"docs/{n}.md"
        for n in ("training", "prediction", "ner", "extraction", "service", "emotion", "data")
    ),
)
PAGES = sorted(
    str(path.relative_to(REPOSITORY))
    for folder in (".", "docs", "benchmarks")
    for path in (REPOSITORY / folder).glob("*.md")
)
# Why a block is not run: it needs a GPU, a connection, or time and data that a test has not.
KINDS = {"bash", "bash gpu", "bash network", "bash no-test", "csv", "text", "python"}
# Flags of other programs.
FOREIGN = {"help", "lock", "with", "multi_gpu", "num_processes", "nodes", "relationships", "rm"}

FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)


class Block(NamedTuple):
    info: str  # what stands behind the fence
    body: str


def text_of(page: str) -> str:
    return (REPOSITORY / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[Block]:
    return [Block(match["info"], match["body"]) for match in FENCE.finditer(text_of(page))]


def headings(page: str) -> list[tuple[int, str]]:
    """Level and text of every heading outside code, in order."""
    return [(len(level), text) for level, text in HEADING.findall(FENCE.sub("", text_of(page)))]


def lines_of(block: Block) -> list[list[str]]:
    """The words of every command of a bash block."""
    lines = block.body.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def as_command(words: Sequence[str]) -> tuple[str, list[str]] | None:
    """The command of KoRE that a line runs, and its flags; None where it runs another program."""
    for number, word in enumerate(words):
        rest = list(words[number + 1 :])
        if word == "kore":
            return rest[0], rest[1:]
        if word in ("train.sh", "inference.sh"):
            return {"train.sh": "train", "inference.sh": "predict"}[word], rest
        if word == "src/tools/plots.py":
            return rest[0], rest[1:]
        if re.fullmatch(r"src/[\w/]+\.py", word):
            named = re.search(r'main_of\("(.+)"\)', text_of(word))
            assert named, f"{word} is no command"
            return named[1], rest
    return None


def options_class(name: str) -> type:
    module, _, attribute = kore.cli.COMMANDS[name].options.partition(":")
    options: type = getattr(importlib.import_module(module), attribute)
    return options


def flags_of(name: str) -> set[str]:
    return {field.name for field in dataclasses.fields(options_class(name))}


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def run_line(words: Sequence[str]) -> None:
    """Runs a documented line in this process, as its script would."""
    if words[0] == "bash":  # test_setup.py looks at the shell scripts
        quickstart = importlib.import_module("quickstart")
        quickstart.main([Path(words[1]).stem, *words[2:]])
        return
    command = as_command(words)
    assert command, f"a test cannot run {shlex.join(words)}; mark its block no-test"
    kore.cli.run(*command)


def run_page(page: str) -> None:
    names = {"__name__": page}  # the python blocks of a page are one program
    for block in blocks(page):
        for words in lines_of(block) if block.info == "bash" else []:
            try:
                run_line(words)
            except Exception as error:
                error.add_note(f"{page}: {shlex.join(words)}")
                raise
        if block.info == "python":
            exec(compile(block.body, page, "exec"), names)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's files without the user's."""
    folder = tmp_path_factory.mktemp("clone") / "KoRE with a space"
    ignored = shutil.ignore_patterns(".git", ".venv*", "*.csv", "*.pth", "__pycache__", ".*_cache")
    shutil.copytree(REPOSITORY, folder, ignore=ignored)
    for name in ("data", "models", "outputs"):
        shutil.rmtree(folder / name)
        (folder / name).mkdir()
    return folder


@pytest.fixture(scope="module")
def printed(clone: Path) -> str:
    """What all blocks marked bash or python alone print, run in the clone as one session.

    The sample is made beforehand and small; `train.sh` finds it there.
    """
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        patch.chdir(clone)
        kore.cli.run(
            "make-sample-data", ["--data_dir", SampleOptions.data_dir, "--num_rows", "300"]
        )
        patch.setattr("quickstart.SAMPLE_EPOCHS", "1")
        patch.setattr("torch.cuda.is_available", lambda: False)  # train.sh takes mini
        for page in RUN:
            run_page(page)
    return out.getvalue()


def test_every_command_runs(clone: Path, printed: str) -> None:
    assert "Next: bash inference.sh" in printed
    for path in (
        *("models/first.pth", "models/resumable.pth", "models/first_hf", "models/my_encoder"),
        *("outputs/first_test_data.csv", "outputs/first.parquet", "outputs/ensemble.csv"),
        *("outputs/report/report.html", "outputs/eda/labels.png", "data/clean.csv"),
    ):
        assert (clone / path).exists(), path


@pytest.mark.usefixtures("printed")
@pytest.mark.parametrize(("name", "pictures"), [("explore", 0), ("eda", 8), ("error_analysis", 3)])
def test_notebooks_run_on_what_the_documents_leave(clone: Path, name: str, pictures: int) -> None:
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


@pytest.mark.parametrize("page", PAGES)
def test_unrun_blocks_say_why(page: str) -> None:
    assert {block.info for block in blocks(page)} <= KINDS
    if page not in RUN and not page.endswith(".ko.md"):
        assert not {"bash", "python"} & {block.info for block in blocks(page)}, "add it to RUN"


@pytest.mark.parametrize("page", PAGES)
def test_documented_commands_parse(page: str) -> None:
    """Also those that are not run: every flag exists, every value is of its type and bounds."""
    for block in blocks(page):
        for words in lines_of(block) if block.info.startswith("bash") else []:
            command = as_command(words)
            if command and "--help" not in words:
                name, flags = command
                parse_options(options_class(name), flags)  # raises where a flag is wrong


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_named_flags_exist(page: str) -> None:
    scripts = "".join(path.read_text("utf-8") for path in (REPOSITORY / "benchmarks").glob("*.py"))
    known = FOREIGN.union(re.findall(r'"--(\w+)"', scripts), *map(flags_of, kore.cli.COMMANDS))
    named = set(re.findall(r"(?<![\w-])--([a-z]\w*)", text_of(page)))
    assert named <= known, named - known


@pytest.mark.parametrize("page", PAGES)
def test_links_and_named_files_exist(page: str) -> None:
    text = text_of(page)
    folder = (REPOSITORY / page).parent
    for target, _, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(#([^)]+))?\)", text):
        path = (folder / target).resolve() if target else REPOSITORY / page
        assert path.exists(), f"{page} links to {target}"
        if anchor:
            anchors = {slug(heading) for _, heading in headings(str(path.relative_to(REPOSITORY)))}
            assert anchor in anchors, f"{page} links to {target}#{anchor}"
    for name in re.findall(r"(?<![\w./])(?:src|tests|benchmarks|docs)/[\w/]+\.(?:py|md)\b", text):
        assert (REPOSITORY / name).exists(), f"{page} names {name}"
    for name in re.findall(r"`(\w+/\w+\.py)`", text):  # a module by its wing, or a script
        folders = (REPOSITORY / folder for folder in (".", "src", "src/kore"))
        assert any((folder / name).exists() for folder in folders), f"{page} names {name}"


@pytest.mark.parametrize("page", TRANSLATED)
def test_both_languages_have_the_same_headings_and_code(page: str) -> None:
    korean = page.replace(".md", ".ko.md")
    assert [level for level, _ in headings(page)] == [level for level, _ in headings(korean)]
    code = [[block for block in blocks(name) if block.info != "text"] for name in (page, korean)]
    assert code[0] == code[1]


def test_every_translation_is_compared() -> None:
    assert {page for page in PAGES if page.endswith(".ko.md")} == {
        page.replace(".md", ".ko.md") for page in TRANSLATED
    }


def test_the_readme_is_short() -> None:
    assert len(text_of("README.md").encode()) < 12_000


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_left_to_fill_in(page: str) -> None:
    assert not re.search(r"URL_OF|RESULTS_|TODO|TBD|FIXME", text_of(page))
