"""A user's mistakes, and how a command reports them: one sentence on stderr, exit status 2."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Collection
from difflib import get_close_matches
from enum import IntEnum

from kore.common.interrupts import stop_status


class ExitStatus(IntEnum):
    """How a command that looks for something ends: FOUND where there were faults, for example."""

    DONE = 0
    FOUND = 1


class UserError(Exception):
    """A mistake that the user can fix. The message is one clear sentence that says how."""


class UnfitError(UserError):
    """Options that do not fit each other, the encoder or the memory; others may."""


class EncoderUnavailableError(UserError):
    """The requested encoder could not be loaded (not local, not cached, not on the Hub)."""


def nearest(name: str, known: Collection[str]) -> str:
    """The most similar known names, for a message; all of them where none is similar."""
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    return " or ".join(near or sorted(known))


def first_line(error: BaseException) -> str:
    """What an error of a library says, in one line; its name where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def run_command(main: Callable[[], None]) -> None:
    """Runs a command's `main` and exits: 0 done, 2 the user's mistake, 130 Ctrl-C, 143 SIGTERM.

    Errors of the operating system (no such file, no permission, disk full) are for the user to fix
    as well; any other exception is a defect of KoRE and keeps its traceback.
    """
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"
    try:
        main()
        sys.stdout.flush()  # a closed pipe is noticed here, not when the interpreter exits
    except UserError as error:
        _fail(str(error))
    except BrokenPipeError:  # nobody reads our output any more, as with `| head`
        # Python flushes once more when it exits, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.errno is None:  # raised by a library, not by the operating system
            raise
        place = f"{error.filename}: " if error.filename else ""
        _fail(f"{place}{error.strerror or error}")
    except KeyboardInterrupt as error:
        print(str(error) or "Interrupted.", file=sys.stderr)
        sys.exit(stop_status())


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)
