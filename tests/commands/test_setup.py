"""What a fresh machine relies on: the lock, its pip requirements and the shell scripts.

Nothing here needs a network, and nothing touches the .venv that runs the tests.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import locked_requirements

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ["setup.sh", "train.sh", "inference.sh", "test.sh", ".ci/run", ".ci/audit"]
BASH = shutil.which("bash") or "bash"


@pytest.fixture(scope="module")
def lock() -> dict[str, Any]:
    return tomllib.loads((ROOT / "poetry.lock").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def printed_requirements(*arguments: str) -> dict[str, str]:
    """What locked_requirements.py prints, from package name to whole line."""
    script = ROOT / "src" / "tools" / "locked_requirements.py"
    done = subprocess.run(
        [sys.executable, str(script), *arguments], capture_output=True, text=True, check=True
    )
    return {line.partition("==")[0]: line for line in done.stdout.splitlines()}


def copy_of_the_setup(folder: Path) -> Path:
    """The files that a set-up reads, in a folder with a space in its name and without a .venv."""
    copy = folder / "my kore"
    (copy / "src" / "tools").mkdir(parents=True)
    names = [*SCRIPTS[:4], ".python-version", "poetry.lock", "src/tools/locked_requirements.py"]
    for name in names:
        shutil.copy(ROOT / name, copy / name)
    return copy


def folder_of_tools(folder: Path, *names: str) -> Path:
    """A folder for PATH that holds the named programs of this machine and no others."""
    folder.mkdir()
    for name in names:
        found = shutil.which(name)
        assert found is not None, f"{name} is missing on this machine"
        (folder / name).symlink_to(found)
    return folder


def write_program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{BASH}\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


def run_bash(copy: Path, *words: str, path: str) -> subprocess.CompletedProcess[str]:
    """Run bash in a copy of the set-up with nothing of this environment but the PATH given."""
    environment = {"PATH": path, "HOME": str(copy)}
    return subprocess.run([BASH, *words], cwd=copy, env=environment, capture_output=True, text=True)


def test_the_lock_holds_one_version_of_each_package(lock):
    names = [package["name"] for package in lock["package"]]
    assert sorted(names) == sorted(set(names))


def test_python_version_agrees_with_the_project_and_the_lock(lock, project):
    version = (ROOT / ".python-version").read_text(encoding="utf-8").strip()
    match = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", project["project"]["requires-python"])
    assert match is not None
    assert int(match[1]) <= int(version.removeprefix("3.")) < int(match[2])
    assert lock["metadata"]["python-versions"] == project["project"]["requires-python"]


def test_pip_installs_kore_with_all_it_needs_and_no_pins_of_cuda(project):
    assert project["project"]["name"] == "kore-re"
    assert project["project"]["scripts"] == {"kore": "kore.cli:main"}
    needed = {text.split()[0] for text in project["project"]["dependencies"]}
    assert {"torch", "accelerate", "transformers"} <= needed
    assert not any(name.startswith("nvidia") for name in needed)
    assert all(pin.startswith("nvidia-") for pin in project["dependency-groups"]["cuda"])


@pytest.mark.parametrize("name", ["poetry.lock", "pyproject.toml", *SCRIPTS])
def test_no_file_names_a_package_index(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert re.findall(r"(?:https?|file)://\S+", text) == []
    assert re.findall(r"--(?:extra-)?index-url|--find-links|--trusted-host", text) == []
    assert "[package.source]" not in text


def test_every_requirement_is_pinned_with_hashes():
    lines = printed_requirements("main", "dev", "hub")
    assert len(lines) > 60
    for line in lines.values():
        assert re.fullmatch(r"[a-z0-9._-]+==\S+( ; .+?)?( --hash=sha256:[0-9a-f]{64})+", line), line


def test_requirements_for_the_cpu_leave_out_torch_and_cuda():
    everything = printed_requirements("main")
    without = printed_requirements("--without-cuda", "main")
    left_out = set(everything) - set(without)
    assert {"torch", "triton", "nvidia-cublas", "nvidia-cudnn-cu13", "cuda-bindings"} <= left_out
    assert all(name.startswith(("torch", "triton", "nvidia-", "cuda-")) for name in left_out)
    assert not any(name.startswith(("nvidia-", "cuda-")) for name in without)
    assert {"accelerate", "transformers", "numpy"} <= set(without)


def test_cuda_libraries_are_asked_for_on_linux_only():
    for name, line in printed_requirements("main").items():
        if name.startswith("nvidia-"):
            assert 'platform_system == "Linux"' in line


def test_optional_groups_come_on_request_only():
    default = printed_requirements()
    assert default == printed_requirements("main")
    assert not {"pytest", "mypy", "ruff", "datasets"} & set(default)
    assert {"pytest", "mypy", "ruff"} <= set(printed_requirements("main", "dev"))
    assert "datasets" in printed_requirements("hub")


def test_a_marker_of_its_own_per_group_is_joined():
    package = {
        "name": "colorama",
        "version": "1.0",
        "groups": ["main", "dev", "hub"],
        "markers": {"main": "os_name == 'nt'", "dev": "sys_platform == 'win32'"},
        "files": [{"file": "colorama.whl", "hash": "sha256:00"}],
    }

    def lines(*groups: str) -> list[str]:
        found = locked_requirements.requirement_lines({"package": [package]}, groups, cuda=True)
        return list(found)

    assert lines("notebooks") == []
    assert lines("main") == ["colorama==1.0 ; (os_name == 'nt') --hash=sha256:00"]
    assert lines("main", "dev") == [
        "colorama==1.0 ; (os_name == 'nt') or (sys_platform == 'win32') --hash=sha256:00"
    ]
    assert lines("main", "hub") == ["colorama==1.0 --hash=sha256:00"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_shell_scripts_parse(name):
    done = subprocess.run([BASH, "-n", str(ROOT / name)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["train.sh", "inference.sh", "test.sh"])
def test_a_missing_python_ends_in_one_sentence(tmp_path, name):
    copy = copy_of_the_setup(tmp_path)
    tools = folder_of_tools(tmp_path / "bin", "cat", "cksum", "cut", "dirname", "uname")
    done = run_bash(copy, name, path=str(tools))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("KoRE needs Python 3.11")
    assert done.stdout == ""
    assert not (copy / ".venv").exists()


def test_a_venv_without_the_packages_is_refused(tmp_path):
    copy = copy_of_the_setup(tmp_path)
    write_program(copy / ".venv" / "bin" / "python", "exit 1")  # as the search for them does
    done = run_bash(copy, "train.sh", path=os.environ["PATH"])
    assert done.returncode == 2
    assert done.stderr.startswith("This .venv lacks the packages of KoRE")
    assert done.stderr.count("\n") == 1


def test_a_venv_made_by_others_is_used_as_it_is(tmp_path):
    copy = copy_of_the_setup(tmp_path)
    write_program(copy / ".venv" / "bin" / "python", 'echo "called with $*"')
    done = run_bash(copy, "train.sh", "--train_file", "my file.csv", path=os.environ["PATH"])
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]  # before it, setup.sh looks for the packages
    assert last == "called with src/tools/quickstart.py train --train_file my file.csv"
    assert sorted(path.name for path in (copy / ".venv").iterdir()) == ["bin"]


# A Python that makes a .venv with itself in it and whose pip writes down what it was asked for.
FAKE_PYTHON = """
case "$*" in
  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  *+cpu) echo "$*" >>"$HOME/pip.log"; [ ! -e "$HOME/no-cpu-build" ] ;;
  "-m pip "*) echo "$*" >>"$HOME/pip.log"; [ ! -e "$HOME/pip-fails" ] ;;
  *locked_requirements*) echo "torch==0.0 --hash=sha256:00" ;;
  *quickstart*) echo started ;;
esac
"""


@pytest.fixture
def fake_machine(tmp_path):
    """A copy of the set-up and a PATH whose Python only pretends to install, without a GPU."""
    copy = copy_of_the_setup(tmp_path)
    tools = folder_of_tools(
        tmp_path / "bin",
        *["cat", "cksum", "cp", "cut", "dirname", "mkdir", "mv", "rm", "sed", "uname"],
    )
    write_program(tools / "python3.11", FAKE_PYTHON)
    return copy, str(tools)


def test_a_set_up_runs_once(fake_machine):
    copy, path = fake_machine
    first = run_bash(copy, "train.sh", path=path)
    assert (first.returncode, first.stdout) == (0, "started\n")
    assert first.stderr.startswith("Setting up .venv (once")
    calls = (copy / "pip.log").read_text(encoding="utf-8")
    assert "--no-deps" in calls
    assert "--require-hashes" in calls

    second = run_bash(copy, "train.sh", path=path)
    assert (second.returncode, second.stdout, second.stderr) == (0, "started\n", "")
    assert (copy / "pip.log").read_text(encoding="utf-8") == calls


def test_the_dev_group_is_added_to_a_finished_venv(fake_machine):
    copy, path = fake_machine
    run_bash(copy, "train.sh", path=path)
    kept = copy / ".venv" / "kept"
    kept.touch()
    done = run_bash(copy, "test.sh", path=path)
    assert done.returncode == 0
    groups = "main dev export notebooks ray search extract serve"
    assert done.stderr == f"Adding to .venv: now {groups} ...\n"
    assert kept.exists()
    assert run_bash(copy, "train.sh", path=path).stderr == ""


@pytest.mark.parametrize("change", ["half-made", "other lock", "no python"])
def test_a_venv_that_no_longer_fits_is_made_anew(fake_machine, change):
    copy, path = fake_machine
    run_bash(copy, "train.sh", path=path)
    left_over = copy / ".venv" / "left over"
    left_over.touch()
    if change == "half-made":
        (copy / ".venv" / ".kore-setup").write_text("", encoding="utf-8")
    elif change == "other lock":
        (copy / "poetry.lock").write_text("# changed", encoding="utf-8")
    else:
        (copy / ".venv" / "bin" / "python").unlink()
    done = run_bash(copy, "train.sh", path=path)
    assert (done.returncode, done.stdout) == (0, "started\n")
    assert done.stderr.startswith("Setting up .venv")
    assert not left_over.exists()


def test_a_gpu_that_appears_calls_for_the_cuda_build(fake_machine):
    copy, path = fake_machine
    run_bash(copy, "train.sh", path=path)
    write_program(Path(path) / "nvidia-smi", "exit 0")
    done = run_bash(copy, "train.sh", path=path)
    assert done.stderr.startswith("Setting up .venv")
    assert "+cpu" not in (copy / "pip.log").read_text(encoding="utf-8").splitlines()[-1]
    # The CUDA build stays when the GPU goes again.
    (Path(path) / "nvidia-smi").unlink()
    assert run_bash(copy, "train.sh", path=path).stderr == ""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the locked torch has no CUDA")
@pytest.mark.parametrize("offered", [True, False])
def test_without_a_gpu_torch_comes_as_the_cpu_build_where_pip_finds_one(fake_machine, offered):
    copy, path = fake_machine
    if not offered:
        (copy / "no-cpu-build").touch()
    done = run_bash(copy, "train.sh", path=path)
    assert (done.returncode, done.stdout) == (0, "started\n")
    calls = (copy / "pip.log").read_text(encoding="utf-8").splitlines()
    assert sum(call.endswith("torch==0.0+cpu") for call in calls) == 1
    # Where there is no CPU build, everything in the lock is installed after all.
    assert len(calls) == (2 if offered else 3)
    assert ("takes the CUDA build" in done.stderr) is not offered


def test_a_failing_pip_ends_in_a_sentence_and_leaves_no_stamp(fake_machine):
    copy, path = fake_machine
    (copy / "pip-fails").touch()
    done = run_bash(copy, "train.sh", path=path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("Setting up .venv failed: pip could not install")
    assert done.stdout == ""
    assert (copy / ".venv" / ".kore-setup").read_text(encoding="utf-8") == ""

    (copy / "pip-fails").unlink()
    assert run_bash(copy, "train.sh", path=path).returncode == 0


def test_two_runs_at_once_set_up_once(fake_machine):
    copy, path = fake_machine
    real = f'"{sys.executable}" -c'
    locking = FAKE_PYTHON.replace("*quickstart*)", f'*fcntl*) {real} "$2" ;;\n  *quickstart*)')
    write_program(Path(path) / "python3.11", locking)
    start, pipe = [BASH, "train.sh"], subprocess.PIPE
    environment = {"PATH": path, "HOME": str(copy)}
    runs = [
        subprocess.Popen(start, cwd=copy, env=environment, stdout=pipe, stderr=pipe, text=True)
        for _ in range(3)
    ]
    results = [run.communicate(timeout=60) for run in runs]
    assert [out for out, _ in results] == ["started\n"] * 3
    assert "".join(err for _, err in results).count("Setting up .venv") == 1
