"""What a user can do wrong, and how a command tells them: one sentence on stderr, exit status 2."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Collection
from difflib import get_close_matches
from enum import IntEnum


class ExitStatus(IntEnum):
    """How a command ends that found what it looked for, faults for example."""

    DONE = 0
    FOUND = 1


INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class UserError(Exception):
    """A mistake the user can mend. The message is one clear sentence that says what to do."""


class UnfitError(UserError):
    """Flags that do not fit each other, the encoder or the memory: others may do."""


def nearest(name: str, known: Collection[str]) -> str:
    """The nearest of the known names, for a message; all of them where none is near."""
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    return " or ".join(near or sorted(known))


def run_command(main: Callable[[], None]) -> None:
    """Runs a command's `main` and exits: 0 done, 2 the user's mistake, 130 interrupted.

    Operating-system refusals (no such file, no permission, disk full) are the user's to mend as
    well; any other exception is a defect of ours and keeps its traceback.
    """
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"
    try:
        main()
        sys.stdout.flush()  # a reader that went away is noticed here, not at the interpreter's end
    except UserError as error:
        _fail(str(error))
    except BrokenPipeError:  # the reader of our output went away, as with `| head`
        # Python flushes once more at its end, and would complain there
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.errno is None:  # not from the operating system: raised by a library
            raise
        place = f"{error.filename}: " if error.filename else ""
        _fail(f"{place}{error.strerror or error}")
    except KeyboardInterrupt as error:
        print(str(error) or "Interrupted.", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


class EncoderUnavailableError(UserError):
    """The requested encoder could not be loaded: not local, not cached, not on the hub."""
