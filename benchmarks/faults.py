"""Kills and full disks at random moments of long commands, and what `--resume` makes of them.

    python benchmarks/faults.py --kills 200 --failing 15

Training, prediction, extraction and pretraining run once undisturbed. Then each is killed with
SIGKILL at a random moment of its time, continued, killed again, and ended after every third kill:
its results must be those of the undisturbed run, no checkpoint or state may ever be unreadable,
and no result of prediction or extraction may be there and not whole. Then the disk is full
(ENOSPC) or broken (EIO) from a certain write on, by a layer between the process and the C library
(fault_layer.c, built with `cc`): the command must end with status 2 and one sentence, and with
`--resume` the results must be the same again. Ends with a table and one line of JSON; exit status 1
where something was wrong.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch

import _path  # noqa: F401
from kore.common.errors import UserError
from kore.data.records import write_examples
from kore.data.rows import read_examples
from kore.network.checkpoint import load_model

SOURCE = Path(__file__).parents[1] / "src"
LAYER = Path(__file__).with_name("fault_layer.c")
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "CUDA_VISIBLE_DEVICES": "",
}


class Job(NamedTuple):
    """A command that can be resumed.

    state: what is there once `--resume` has something to continue.
    results: names of files, and how each is read for comparison.
    """

    flags: Callable[[Path], list[str]]
    state: str
    results: dict[str, Callable[[Path], str]]


def bytes_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def weights_of(path: Path) -> str:
    """The numbers in a checkpoint; torch writes other bytes for the same."""
    digest = hashlib.sha256()
    weights = load_model(path).model.state_dict()
    for name in sorted(weights):
        digest.update(name.encode() + weights[name].float().cpu().numpy().tobytes())
    return digest.hexdigest()


def jobs(inputs: Path) -> dict[str, Job]:
    data, encoder = inputs / "data", inputs / "models" / "encoder"
    size = ["--num_layers", "1", "--hidden_size", "64"]

    def train(folder: Path) -> list[str]:
        return [
            *("train.py", "--train_file", str(data / "train_data.csv")),
            *("--valid_file", str(data / "valid_data.csv"), "--model_name_or_path", str(encoder)),
            *("--model_dir", str(folder), "--output_dir", str(folder), "--run_name", "run"),
            *("--num_epochs", "4", "--max_length", "64", "--save_steps", "5"),
        ]

    def predict(folder: Path) -> list[str]:
        return [
            *("inference.py", "--model_file", str(inputs / "models" / "run.pth")),
            *("--test_file", str(inputs / "many.csv"), "--output_dir", str(folder)),
            *("--output_name", "out.csv"),
        ]

    def extract(folder: Path) -> list[str]:
        return [
            *("extract.py", "--input_file", str(inputs / "texts.txt"), "--model_dir", str(folder)),
            *("--output_dir", str(folder), "--output_name", "out.jsonl", "--sentences", "line"),
            *("--ner_model", "kore-mini-ner", "--model_file", "kore-mini-re"),
        ]

    def pretrain(folder: Path) -> list[str]:
        return [
            *("pretrain.py", str(data / "train_data.csv"), *size, "--num_epochs", "4"),
            *("--model_dir", str(folder), "--run_name", "run", "--save_steps", "2"),
        ]

    return {
        "training": Job(train, "run/last.pth", {"run.pth": weights_of}),
        "prediction": Job(predict, "", {"out.csv": bytes_of}),
        "extraction": Job(extract, "", {"out.jsonl": bytes_of, "out.csv": bytes_of}),
        "pretraining": Job(pretrain, "run.run/last.pth", {"run/model.safetensors": bytes_of}),
    }


def command(job: Job, folder: Path) -> list[str]:
    """To begin, or to continue where there is something to continue."""
    script, *flags = job.flags(folder)
    resume = ["--resume"] if not job.state or (folder / job.state).exists() else []
    return [sys.executable, str(SOURCE / script), *flags, *resume]


def run(words: Sequence[str], environment: dict[str, str] | None = None) -> Any:
    return subprocess.run(
        words, env=environment or ENVIRONMENT, capture_output=True, text=True, timeout=600
    )


def must(done: Any) -> None:
    if done.returncode:
        raise SystemExit(f"{done.args} ended with {done.returncode}: {done.stderr}")


def results_of(job: Job, folder: Path) -> dict[str, str]:
    """A digest of each result that is there."""
    return {
        name: read(folder / name) for name, read in job.results.items() if (folder / name).exists()
    }


def faults_after(job: Job, folder: Path, expected: dict[str, str]) -> list[str]:
    """What is wrong with the files that a kill or a full disk has left."""
    faults = []
    try:
        if job.state and (folder / job.state).exists():
            torch.load(folder / job.state, weights_only=True, map_location="cpu")
        found = results_of(job, folder)
    except (UserError, RuntimeError, OSError) as error:
        return [f"unreadable: {error}"]
    for name, digest in found.items():
        # The best checkpoint so far, and the encoder after each epoch, are written on the way.
        if digest != expected[name] and not job.state:
            faults.append(f"{name} is there, and not whole")
    return faults


def kill_at_random(
    job: Job, folder: Path, seconds: float, random_: random.Random
) -> tuple[bool, str]:
    """Whether the process was still at work when it was killed, and what it said."""
    with subprocess.Popen(
        command(job, folder), env=ENVIRONMENT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        text=True,
    ) as process:  # fmt: skip
        with suppress(subprocess.TimeoutExpired):
            process.wait(random_.uniform(0, seconds))
        was_working = process.poll() is None
        process.send_signal(signal.SIGKILL)
        _, said = process.communicate()
    return was_working, said


def killed(
    name: str, job: Job, work: Path, expected: dict[str, str], seconds: float, kills: int
) -> tuple[dict[str, int], list[str]]:
    random_ = random.Random(name)
    faults: list[str] = []
    counts = {"kills": 0, "ended and compared": 0}
    folder = work / f"{name}-killed"
    while counts["kills"] < kills:
        was_working, said = kill_at_random(job, folder, seconds, random_)
        counts["kills"] += was_working
        faults += faults_after(job, folder, expected)
        if "Traceback" in said:
            faults.append(f"a traceback: {said[-300:]}")
        if not was_working or counts["kills"] % 3 == 0:
            done = run(command(job, folder))
            if done.returncode or results_of(job, folder) != expected:
                faults.append(f"other results after --resume: {done.stderr[-300:]}")
            counts["ended and compared"] += 1
            shutil.rmtree(folder)
        print(f"{name}: {counts}, faults: {len(faults)}", file=sys.stderr, flush=True)
    return counts, faults


def build_layer(work: Path) -> Path:
    library = work / "fault_layer.so"
    must(run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(LAYER), "-ldl"]))
    return library


def failed(
    name: str, job: Job, work: Path, expected: dict[str, str], layer: Path, most: int
) -> tuple[dict[str, int], list[str]]:
    """Every write, or `most` of them evenly, is once the first that fails."""
    folder, log = work / f"{name}-failed", work / f"{name}.writes"
    environment = {
        **ENVIRONMENT,
        "LD_PRELOAD": str(layer),
        "FAULT_DIR": str(folder),
        "FAULT_LOG": str(log),
    }
    must(run(command(job, folder), environment))
    shutil.rmtree(folder)
    writes = max(map(int, log.read_text().split()))
    chosen = range(1, writes + 1, max(1, writes // most))
    faults: list[str] = []
    for number, at in enumerate(chosen):
        code = (errno.ENOSPC, errno.EIO)[number % 2]
        failing = {**environment, "FAULT_AT": str(at), "FAULT_ERRNO": str(code)}
        done = run(command(job, folder), failing)
        where = f"{errno.errorcode[code]} at write {at} of {writes}"
        if done.returncode != 2 or "Traceback" in done.stderr or "error: " not in done.stderr:
            faults.append(f"{where}: status {done.returncode}, {done.stderr[-300:]}")
        faults += [f"{where}: {fault}" for fault in faults_after(job, folder, expected)]
        done = run(command(job, folder))
        if done.returncode or results_of(job, folder) != expected:
            faults.append(f"{where}: other results after --resume: {done.stderr[-300:]}")
        shutil.rmtree(folder)
        print(f"{name}: {where}, faults: {len(faults)}", file=sys.stderr, flush=True)
    return {"writes": writes, "of them failed": len(chosen)}, faults


def make_inputs(folder: Path) -> None:
    """A sample, a small encoder and model, and files that take a while."""
    data = folder / "data"
    make = [sys.executable, str(SOURCE / "tools" / "make_sample_data.py"), "--num_rows", "300"]
    must(run([*make, "--data_dir", str(data)]))
    known = jobs(folder)
    models = folder / "models"
    for name, run_name in (("pretraining", "encoder"), ("training", "run")):
        script, *flags = known[name].flags(models)
        must(run([sys.executable, str(SOURCE / script), *flags, "--run_name", run_name]))
    rows = read_examples(data / "test_data.csv")
    many = [row._replace(id=f"{row.id}-{number}") for number in range(60) for row in rows]
    write_examples(folder / "many.csv", many)
    (folder / "texts.txt").write_text("".join(f"{row.sentence}\n" for row in rows * 8), "utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="over all commands")
    parser.add_argument(
        "--failing", type=int, default=15, help="most writes of a command that fail"
    )
    parser.add_argument("--jobs", nargs="*", help="some of the commands alone")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="kore-faults-") as name:
        work = Path(name)
        make_inputs(work / "inputs")
        layer = build_layer(work)
        known = {
            job_name: job
            for job_name, job in jobs(work / "inputs").items()
            if job_name in (chosen.jobs or [job_name])
        }
        print("| command | kills | ended and compared | writes | of them failed | faults |")
        print("|---|---|---|---|---|---|")
        all_faults: dict[str, list[str]] = {}
        rows = {}
        for job_name, job in known.items():
            folder = work / job_name
            began = time.monotonic()
            must(run(command(job, folder)))
            seconds = time.monotonic() - began
            expected = results_of(job, folder)
            assert set(expected) == set(job.results)
            kills, faults = killed(
                job_name, job, work, expected, seconds, chosen.kills // len(known)
            )
            writes, more = failed(job_name, job, work, expected, layer, chosen.failing)
            all_faults[job_name] = faults + more
            rows[job_name] = {**kills, **writes}
            cells = " | ".join(map(str, rows[job_name].values()))
            print(f"| {job_name} | {cells} | {len(all_faults[job_name])} |", flush=True)
    print(json.dumps({"rows": rows, "faults": all_faults}, ensure_ascii=False))
    if any(all_faults.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
