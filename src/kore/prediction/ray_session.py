"""A connection to Ray: found or started, quiet, its errors reported in a sentence."""

from __future__ import annotations

import logging
import os
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kore.common.errors import UserError
from kore.common.resources import python_path

try:
    import ray
    import ray.data
    from ray.exceptions import (
        NodeDiedError,
        OutOfMemoryError,
        RayActorError,
        RayError,
        RayTaskError,
        WorkerCrashedError,
    )
except ImportError as error:
    raise UserError(
        f"the package ray is missing ({error}); poetry install --with ray, or "
        'python -m pip install "ray[data]"'
    ) from error


@contextmanager
def ray_session(address: str, num_workers: int) -> Iterator[None]:
    """Connects to the cluster at `address`, or starts Ray on this machine, for the block.

    Where the program has connected to Ray before, that connection is used and kept.

    Raises:
        UserError: no cluster answers.
    """
    connect = not ray.is_initialized()
    if connect:
        _connect(address, num_workers)
    with warnings.catch_warnings(action="ignore"):  # copying reads fields Ray itself has dropped
        context = ray.data.DataContext.get_current().copy()
    context.enable_progress_bars = sys.stderr.isatty()
    context.print_on_execution_start = False
    context.raise_original_map_exception = True  # otherwise no UserError is left of ours
    try:
        with ray.data.DataContext.current(context):
            yield
    finally:
        if connect:
            ray.shutdown()


@contextmanager
def ray_errors() -> Iterator[None]:
    """Reports the errors of a job in the block in a sentence.

    It belongs inside the blocks that write, which take the OSError of a task for one of their own.

    Raises:
        UserError: a task raised one, or a worker cannot be kept alive.
    """
    try:
        yield
    except RayError as error:
        raise _as_user_error(error) from error


def runtime_env() -> dict[str, Any]:
    """What a worker needs to find the modules of this folder, by its path on the cluster."""
    return {"env_vars": {"PYTHONPATH": python_path()}}


def check_resources(num_workers: int, num_gpus_per_worker: float) -> None:
    """Refuses workers that Ray would wait for without end.

    Raises:
        UserError: the cluster has too few CPU cores or GPUs.
    """
    resources = ray.cluster_resources()
    cores, gpus = resources.get("CPU", 0), resources.get("GPU", 0)
    # A worker holds a core for as long as the job runs; the tasks that read and write need one too.
    if num_workers >= cores:
        raise UserError(
            f"`num_workers` {num_workers}, but the cluster has {cores:.0f} cores, one of "
            f"which reads and writes; pass at most {cores - 1:.0f}"
        )
    wanted = num_workers * num_gpus_per_worker
    if wanted > gpus:
        raise UserError(
            f"`num_workers` {num_workers} with `num_gpus_per_worker` "
            f"{num_gpus_per_worker} need {wanted:g} GPUs, but the cluster has {gpus:g}"
        )


def _connect(address: str, num_workers: int) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # C++ lines on the driver's stderr
    local: dict[str, Any] = {
        "num_cpus": max(os.cpu_count() or 1, num_workers + 1),
        "include_dashboard": False,
    }
    try:
        _check_address(address)
        with _stderr_closed():
            ray.init(
                address=address or "local",
                runtime_env=runtime_env(),
                logging_level=logging.CRITICAL,
                log_to_driver=False,
                **({} if address else local),
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(
            f"`address` {address or repr('')}: no Ray answers "
            f"({' '.join(str(error).split())[:200]})"
        ) from error
    of_the_program = logging.getLogger().handlers  # Ray adds them to its own
    for handler in logging.getLogger("ray.data").handlers:
        # The file of the session keeps everything.
        if isinstance(handler, logging.StreamHandler) and handler not in of_the_program:
            handler.setLevel(logging.CRITICAL)


def _check_address(address: str) -> None:
    """Raises OSError where nobody listens at HOST:PORT, which Ray itself tries for many minutes."""
    host, _, port = address.rpartition(":")
    if port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


@contextmanager
def _stderr_closed() -> Iterator[None]:
    """Drops what is written to stderr below Python, where Ray reports its own settings."""
    sys.stderr.flush()
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def _as_user_error(error: RayError) -> BaseException:
    """The sentence that a task ended with, or the error itself where it is a defect of KoRE."""
    if isinstance(error, RayTaskError):
        message = str(error.cause).partition("\n")[0]  # below it Ray adds advice of its own
        if isinstance(error.cause, UserError):
            return UserError(message)
        if isinstance(error.cause, OSError):
            return UserError(f"a worker cannot continue: {error.cause.strerror or message}")
    if isinstance(error, (RayActorError, WorkerCrashedError, NodeDiedError, OutOfMemoryError)):
        return UserError(
            f"a worker could not be kept alive ({' '.join(str(error).split())[:300]}); is its "
            "memory full? Pass fewer `num_workers`"
        )
    return error
