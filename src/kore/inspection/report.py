"""The report on a data set: as text for people, and as JSON for programs."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from kore.common.files import atomic_write
from kore.inspection.checks import Finding

WIDTH = 100
_SHOWN_LINES = 5  # of one finding


class Kind(NamedTuple):
    title: str
    is_serious: bool


KINDS = {
    "faults": Kind("faults (missing or wrong values)", True),
    "conflicts": Kind("different labels of the same sentence, subject and object", True),
    "clashes": Kind("entity types that contradict the name of the relation", True),
    "duplicates": Kind("duplicates of an earlier row in sentence, subject and object", False),
    "unusual_types": Kind("entity types that are rare for their relation (worth a look)", False),
    "particles": Kind("entities that seem to end in a particle (worth a look)", False),
    "characters": Kind("suspicious characters", False),
}


@dataclass(frozen=True)
class FileReport:
    """What is known about one file.

    characters, tokens: `lengths.quantiles` of the sentences and of the encoded examples.
    covered: `lengths.coverage`, by max_length.
    findings: a list, possibly empty, for each of KINDS.
    """

    file: str
    rows: int
    good_rows: int
    labels: dict[str, int]
    subject_types: dict[str, int]
    object_types: dict[str, int]
    characters: dict[str, int]
    tokens: dict[str, int]
    covered: dict[str, float]
    findings: dict[str, list[Finding]]


class Leak(NamedTuple):
    """Sentences that occur in two files, and the lines where they do."""

    file: str
    other: str
    sentences: int
    lines: list[int]
    other_lines: list[int]


def full_text(
    reports: Sequence[FileReport], leaks: Sequence[Leak], tokenizer: str, show: int
) -> tuple[str, bool]:
    """The report, and whether anything in it is serious.

    Args:
        tokenizer: what the tokens were counted with, in words.
        show: most findings of a kind that are shown; 0 = all.
    """
    serious = [
        f"{report.file}: {kind.title}: {len(report.findings[name])}"
        for report in reports
        for name, kind in KINDS.items()
        if kind.is_serious and report.findings[name]
    ]
    serious += [f"{leak.file} and {leak.other} share sentences" for leak in leaks]
    parts = [_file_text(report, show) for report in reports]
    parts.append(f"Tokens are those of {tokenizer}, with [CLS], [SEP] and entity markers.")
    parts += [_leak_text(leak) for leak in leaks]
    if serious:
        parts.append("\n".join(["Serious, marked with !:", *(f"  {text}" for text in serious)]))
    else:
        parts.append("Nothing serious was found.")
    return "\n\n".join(parts), bool(serious)


def write_json(
    path: Path, reports: Sequence[FileReport], leaks: Sequence[Leak], is_serious: bool
) -> None:
    """Writes every finding with all its lines; shares lie between 0 and 1.

    Raises:
        UserError: the file cannot be written.
    """
    files = []
    for report in reports:
        findings = {
            kind: [finding._asdict() for finding in found]
            for kind, found in report.findings.items()
        }
        files.append({**asdict(report), "findings": findings})
    content = {"serious": is_serious, "files": files, "leaks": [leak._asdict() for leak in leaks]}
    with atomic_write(path) as file:
        json.dump(content, file, ensure_ascii=False, indent=1)
        file.write("\n")


def _file_text(report: FileReport, show: int) -> str:
    faulty = report.rows - report.good_rows
    labelled = f"{len(report.labels)} labels" if report.labels else "no labels"
    lines = [f"{report.file}: {report.rows} rows, {faulty} of them faulty, {labelled}"]
    if report.labels:
        lines.append(_wrapped("labels", report.labels))
    for name in ("subject_types", "object_types"):
        lines.append(_wrapped(name.replace("_", " "), getattr(report, name)))
    for name in ("characters", "tokens"):
        lengths = [f"{share} {length}" for share, length in getattr(report, name).items()]
        text = ", ".join(lengths).replace(" ", " of the rows have at most ", 1)
        lines.append(_line(name, text or "none"))
    covered = [f"{most}: {100 * share:.2f} %" for most, share in report.covered.items()]
    text = f"{', '.join(covered)} of the rows" if covered else "none"
    lines.append(_line("whole at max_length", text))
    for name, kind in KINDS.items():
        lines += _findings(report.file, kind, report.findings[name], show)
    return "\n".join(lines)


def _findings(file: str, kind: Kind, findings: Sequence[Finding], show: int) -> list[str]:
    mark = "! " if kind.is_serious and findings else "  "
    lines = [f"{mark}{kind.title}: {len(findings)}"]
    shown = findings[:show] if show else findings
    for finding in shown:
        first, *others = finding.lines
        more = ", ".join(map(str, others[: _SHOWN_LINES - 1]))
        more += ", …" if len(others) >= _SHOWN_LINES else ""
        place = f"{file}:{first}" + (f" (and {more})" if more else "")
        lines.append(f"    {place} {finding.column}: {finding.message}")
    if len(shown) < len(findings):
        lines.append(f"    … and {len(findings) - len(shown)} more")
    return lines


def _leak_text(leak: Leak) -> str:
    return (
        f"! {leak.file} and {leak.other} share {leak.sentences} sentence(s): "
        f"{len(leak.lines)} row(s) of the first, {len(leak.other_lines)} of the second, first at "
        f"{leak.file}:{leak.lines[0]} and {leak.other}:{leak.other_lines[0]}"
    )


def _wrapped(name: str, counts: dict[str, int]) -> str:
    text = ", ".join(f"{value or '(empty)'}\u00a0{count}" for value, count in counts.items())
    lines = textwrap.wrap(text, WIDTH - 22, break_long_words=False, break_on_hyphens=False)
    return _line(name, ("\n" + " " * 22).join(lines) or "none").replace("\u00a0", " ")


def _line(name: str, text: str) -> str:
    return f"  {name:<20}{text}"
