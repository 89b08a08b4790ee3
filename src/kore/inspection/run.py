"""The command that validates data sets: load, check, report, optionally write a cleaned copy.

file       --read_source-->  SourceFile: rows without faults, and the faults of the others
SourceFile --examine------>  FileReport      SourceFiles --find_leaks-->  Leaks
reports    --report------->  text and JSON   rows        --fix--------->  a cleaned CSV
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from kore.common.errors import ExitStatus, UserError
from kore.data.dataset import InputEncoder
from kore.data.duplicates import Row
from kore.data.records import iter_records
from kore.data.rows import CheckedRow, iter_rows, parse_record, realigned_record, record_id
from kore.inspection import checks, fix
from kore.inspection.checks import Finding
from kore.inspection.lengths import coverage, length_encoder, quantiles, token_counts
from kore.inspection.options import CheckOptions
from kore.inspection.report import FileReport, Leak, full_text, write_json


class SourceFile(NamedTuple):
    """The rows of a file without faults, and the faults of the others."""

    path: Path
    rows: list[Row]
    faults: list[Finding]
    faulty_rows: int
    repairable: Sequence[Row] = ()  # of the faulty ones, with sentence and words that agree


def check(options: CheckOptions) -> ExitStatus:
    """Checks the FILEs, prints what is found and writes what is asked for.

    Returns:
        FOUND where something serious was found.

    Raises:
        UserError: a file cannot be read or written, or the file names do not fit together.
    """
    paths = [Path(name) for name in options.files]
    check_names(options, paths)
    sources = [read_source(path) for path in paths]
    against = lines_of_sentences(Path(options.against)) if options.against else {}
    encoder = _encoder(options.tokenizer, sources)
    reports = [examine(source, encoder) for source in sources]
    leaks = find_leaks(sources, options.against, against)
    tokens_of = options.tokenizer or f"a vocabulary learned from {paths[0]} (no --tokenizer given)"
    text, is_serious = full_text(reports, leaks, tokens_of, options.show)
    print(text)
    if _is_cut(reports, options.show):
        print(f"\nUp to {options.show} findings of each kind are shown; --show 0 shows all.")
    if options.json:
        write_json(Path(options.json), reports, leaks, is_serious)
    if options.fix:
        _fix(Path(options.fix), sources[0], against)
    return ExitStatus.FOUND if is_serious else ExitStatus.DONE


def check_names(options: CheckOptions, paths: list[Path]) -> None:
    """Refuses files that are given twice, and output that would replace a file that is read.

    Raises:
        UserError: with the name at fault.
    """
    seen = [path.resolve() for path in paths]
    twice = [str(path) for path, count in Counter(seen).items() if count > 1]
    if twice:
        raise UserError(f"{twice[0]} is given twice; give every FILE once")
    if options.against and Path(options.against).resolve() in seen:
        raise UserError(
            f"`against` {options.against} is one of the FILEs, with which it would share every "
            "sentence; name another file"
        )
    written = []
    if options.fix:
        if len(paths) > 1:
            raise UserError(f"`fix` cleans one file, but {len(paths)} are given; give one FILE")
        if Path(options.fix).suffix != ".csv":
            raise UserError(f"`fix` {options.fix}: expected a name that ends in .csv")
        written = [Path(options.fix), fix.changes_file(Path(options.fix))]
    written += [Path(options.json)] if options.json else []
    read = {*seen, *(Path(name).resolve() for name in (options.against, options.tokenizer) if name)}
    for path in written:
        if path.resolve() in read:
            raise UserError(f"{path} is an input and would be replaced; name another file")
    if len({path.resolve() for path in written}) < len(written):
        raise UserError(
            f"`json` {options.json} is a file that `fix` writes as well; name another file"
        )


def read_source(path: Path) -> SourceFile:
    """All rows of a file. Where some rows have a label, a row without one is faulty.

    Raises:
        UserError: it cannot be read, or holds no rows.
    """
    checked = list(iter_rows(str(path), iter_records(path), need_labels=False))
    if not checked:
        raise UserError(f"{path}: holds no rows")
    faults = [finding for row in checked for finding in _faults(row)]
    rows = [Row(row.line, row.example) for row in checked if row.example is not None]
    labelled = sum(row.example.label is not None for row in rows)
    if 0 < labelled < len(rows):
        message = f"is missing, whereas {labelled} rows have one"
        bare = [row for row in rows if row.example.label is None]
        faults += [Finding((row.line,), row.example.id, "label", message) for row in bare]
        faults.sort()
        rows = [row for row in rows if row.example.label is not None]
    repairable = [row for row in _repairable(checked) if row.example.label or not labelled]
    return SourceFile(path, rows, faults, len(checked) - len(rows), repairable)


def lines_of_sentences(path: Path) -> dict[str, list[int]]:
    """The lines of every sentence of a file; its rows are not checked.

    Raises:
        UserError: it cannot be read.
    """
    records = iter_records(path)
    sentences = ((line, record.get("sentence")) for line, record in records)
    return _lines_of((line, text) for line, text in sentences if isinstance(text, str))


def examine(source: SourceFile, encoder: InputEncoder | None) -> FileReport:
    """Counts, lengths and findings of one file."""
    rows = source.rows
    examples = [row.example for row in rows]
    counts = token_counts(encoder, examples) if encoder is not None else []
    repeats, conflicts = checks.duplicates(rows)
    clashes = checks.clashes(rows)
    return FileReport(
        file=str(source.path),
        rows=len(rows) + source.faulty_rows,
        good_rows=len(rows),
        labels=_counted(row.label for row in examples if row.label is not None),
        subject_types=_counted(row.subject.type for row in examples),
        object_types=_counted(row.object.type for row in examples),
        characters=quantiles([len(row.sentence) for row in examples]) if examples else {},
        tokens=quantiles(counts) if counts else {},
        covered=coverage(counts) if counts else {},
        findings={
            "faults": source.faults,
            "conflicts": conflicts,
            "clashes": clashes,
            "duplicates": repeats,
            "unusual_types": checks.unusual_types(rows, exclude=clashes),
            "particles": checks.particle_endings(rows),
            "characters": checks.suspicious_characters(rows),
        },
    )


def find_leaks(
    sources: Sequence[SourceFile], against_name: str, against: dict[str, list[int]]
) -> list[Leak]:
    """Every two files that share a sentence."""
    files = [
        (str(source.path), _lines_of((line, example.sentence) for line, example in source.rows))
        for source in sources
    ]
    pairs = [*combinations(files, 2), *((file, (against_name, against)) for file in files)]
    leaks = []
    for (name, lines), (other, other_lines) in pairs:
        shared = [sentence for sentence in lines if sentence in other_lines]
        if shared:
            here, there = (
                sorted(line for sentence in shared for line in of[sentence])
                for of in (lines, other_lines)
            )
            leaks.append(Leak(name, other, len(shared), here, there))
    return leaks


def _repairable(checked: Sequence[CheckedRow]) -> list[Row]:
    """Faulty rows that are good but for the composition (NFC) or invisible characters of words."""
    ids = {row.example.id for row in checked if row.example is not None}
    found = []
    for row in checked:
        record = realigned_record(row.faults[0].record) if row.faults else None
        example = parse_record(row.line, record)[0] if record is not None else None
        if example is not None and example.id and example.id not in ids:
            ids.add(example.id)
            found.append(Row(row.line, example))
    return found


def _faults(row: CheckedRow) -> list[Finding]:
    faults = []
    for fault in row.faults:
        row_id = record_id(fault.record)
        faults.append(Finding((fault.line,), row_id, fault.column, fault.message))
    return faults


def _is_cut(reports: Sequence[FileReport], show: int) -> bool:
    return show > 0 and any(len(found) > show for one in reports for found in one.findings.values())


def _encoder(tokenizer: str, sources: Sequence[SourceFile]) -> InputEncoder | None:
    """One for all files, as in training; None where every row is faulty."""
    for source in sources:
        if source.rows:
            return length_encoder(tokenizer, [row.example for row in source.rows])
    return None


def _lines_of(sentences: Iterable[tuple[int, str]]) -> dict[str, list[int]]:
    lines: defaultdict[str, list[int]] = defaultdict(list)
    for line, sentence in sentences:
        lines[sentence].append(line)
    return dict(lines)


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())


def _fix(path: Path, source: SourceFile, against: dict[str, list[int]]) -> None:
    rows, changes = fix.clean(source.rows, source.faults, against, source.repairable)
    fix.write_cleaned(path, rows, changes)
    counts = _counted(change.what for change in changes)
    shown = ", ".join(f"{count} {what}" for what, count in counts.items()) or "none"
    print(f"\nWritten: {path} ({len(rows)} rows), {fix.changes_file(path)} (changes: {shown})")
