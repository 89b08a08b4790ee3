"""The page: whole in itself, safe against what rows hold, and as a browser shows it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tests.builders import make_example

from kore.data.schema import LabelMap
from kore.evaluation.assessment import Assessment, assess
from kore.evaluation.error_analysis import changed_rows, confident_errors
from kore.evaluation.html_report import SHOWN_ROWS, write_html

LABELS = LabelMap(("no_relation", "A", "B"), "no_relation")
HOSTILE = "<script>document.title='taken over'</script> 김도율은 해담전자의 사원이다."
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010804000000b51c0c020000000b49444154789c6364f8"
    "ff1f00030302ff9c2bd5080000000049454e44ae426082"
)


def hostile_assessment(rows: int) -> Assessment:
    """Every row is wrong, and its sentence and relation look like HTML."""
    examples = [
        make_example(f"r{n}", HOSTILE, "김도율", "해담전자", "A" if n % 2 else "no_relation")
        for n in range(rows)
    ]
    probs = np.tile([0.1, 0.2, 0.7], (rows, 1))
    other = np.tile([0.1, 0.7, 0.2], (rows, 1))
    return assess(examples, probs, LABELS, other=other, resamples=20)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    result = hostile_assessment(SHOWN_ROWS + 5)
    (tmp_path / "confusion_matrix.png").write_bytes(PIXEL)
    assert result.other is not None
    errors = confident_errors(result.examples, result.gold, result.probs, LABELS)
    second = result.other.argmax(axis=1)
    changed = changed_rows(result.examples, result.gold, result.predicted, second, LABELS)
    path = tmp_path / "report.html"
    write_html(path, result, errors, changed, [tmp_path / "confusion_matrix.png"])
    (tmp_path / "confusion_matrix.png").unlink()  # the page must not need it
    return path


def test_page_asks_nothing_of_a_network_and_runs_nothing(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    addresses = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)""", text)
    assert addresses
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in addresses)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert not re.search(r"@import|@font-face|url\(", text)


def test_page_shows_the_first_errors_and_counts_all(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert (
        f"The {SHOWN_ROWS} errors with the highest probability, of {SHOWN_ROWS + 5}; errors.csv has"
        in text
    )
    assert "28 false relations, 0 missed relations, 27 mix-ups" in text
    assert text.count("<td>lost</td>") == SHOWN_ROWS // 2


@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser")
def test_a_browser_shows_it(page: Path, tmp_path: Path) -> None:
    """The title is the page's own, so that no row's script ran."""
    assert CHROMIUM is not None
    shown = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
            *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
            *("--disable-sync", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"),
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout
    assert "<title>KoRE: relation extraction report</title>" in shown
    assert "taken over</title>" not in shown
    assert shown.count("<tr>") > 2 * SHOWN_ROWS
    assert "김도율" in shown
