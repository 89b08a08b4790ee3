"""Checks a file of predictions before it is submitted.

Exit status: 0 = every row is as it should be, 1 = faults were found, 2 = it could not be checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kore.common.errors import ExitStatus, UserError
from kore.data.rows import read_examples
from kore.prediction.options import SubmissionCheckOptions
from kore.prediction.predictions import find_labels, iter_predictions


def check(options: SubmissionCheckOptions) -> ExitStatus:
    """Prints every fault of the file.

    Raises:
        UserError: it cannot be checked.
    """
    if len(options.submission) != 1:
        raise UserError(f"{len(options.submission)} SUBMISSION files given, expected one")
    path = Path(options.submission[0])
    count, faults = 0, 0
    for line, fault in find_faults(path, options):
        faults += bool(fault)
        count += not fault
        if fault and (faults <= options.show or not options.show):
            print(f"{path}:{line} {fault}")
    if faults > options.show > 0:
        print(f"… and {faults - options.show} more (--show 0 shows all)")
    if faults:
        print(f"{faults} faults in {path}")
        return ExitStatus.FOUND
    print(f"{path}: {count} rows, the ids and order of {options.test_file}; nothing is wrong")
    return ExitStatus.DONE


def find_faults(path: Path, options: SubmissionCheckOptions) -> Iterator[tuple[int, str]]:
    """(line, what is wrong) of every fault, and (line, "") of every row without one.

    Raises:
        UserError: a file is missing, damaged as a whole, or the test file has faulty rows.
    """
    labels = find_labels(path, options)
    examples = read_examples(
        Path(options.test_file), on_bad_row=options.on_bad_row, output_dir=options.output_dir
    )
    places = {example.id: place for place, example in enumerate(examples)}
    missing = dict.fromkeys(places)
    line, furthest = 1, ""  # the id that stands last in the test file, of those so far
    for row in iter_predictions(path, labels):
        line, faults = row.line, list(row.faults)
        missing.pop(row.id, None)
        if row.id and row.id not in places:
            faults.append(f"id: {row.id!r} is not in {options.test_file}")
        elif row.id and furthest and places[row.id] < places[furthest]:
            faults.append(f"id: {row.id!r} stands before {furthest!r} in {options.test_file}")
        elif row.id:
            furthest = row.id
        yield from ((line, fault) for fault in faults or [""])
    for row_id in missing:
        yield line + 1, f"id: {row_id!r} of {options.test_file} has no row"
