"""Runs ways in turns and compares them: a table for people and one line of JSON."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from typing import Any

from alternation import WayResult, Ways
from measuring import encoder_flops, matrix_product_rate, median_ratio, table
from workload import SHAPES, Job

REFERENCES = ("plain", "trainer", "trainer_best")
_PRECISIONS = {"plain": "fp32", "trainer": "fp32"}  # all others have the job's
_COLUMNS = {
    "way": "",
    "precision": "",
    "rows_per_second": ".2f",
    "tokens_per_second": ".0f",
    "padding": ".1%",
    **{f"x_{reference}": ".2f" for reference in REFERENCES},
    "share_of_product": ".1%",
    "peak_mib": ".0f",
    "max_difference": ".1e",
}


def compare(benchmark: str, ways: Ways, job: Job) -> tuple[dict[str, Any], dict[str, WayResult]]:
    """Runs all rounds; returns the report of the JSON line and the result of each way."""
    products: dict[str, list[float]] = {"fp32": [], job.precision: []}

    def measure_products() -> None:
        for precision, rates in products.items():
            rates.append(matrix_product_rate(job.device, precision))

    results = ways.run(job, between=measure_products)
    rates = {precision: statistics.median(found) for precision, found in products.items()}
    flops = encoder_flops(SHAPES[job.size], job.lengths, is_training=benchmark == "training")
    report = {
        "benchmark": benchmark,
        "size": job.size,
        "device": job.device.type,
        "rows": len(job.examples),
        "tokens": sum(job.lengths),
        "rounds": job.rounds - 1,
        "product_gflops": rates,
        "ways": {name: _summary(name, results, job, rates, flops) for name in results},
    }
    return report, results


def print_report(report: Mapping[str, Any]) -> None:
    """The table, and the JSON in the last line."""
    rows, tokens = report["rows"], report["tokens"]
    products = ", ".join(f"{rate:.0f} in {name}" for name, rate in report["product_gflops"].items())
    print(
        f"{report['benchmark']}: {report['size']} on {report['device']}; medians of "
        f"{report['rounds']} rounds of {rows} rows, {tokens / rows:.1f} tokens a row\n"
        "x_NAME: how many times faster than NAME, the median over rounds. share_of_product: the "
        "encoder's arithmetic on real tokens as a share of a large matrix product in the way's "
        f"precision (GFLOP/s: {products}).\n"
    )
    summaries = [{"way": name, **summary} for name, summary in report["ways"].items()]
    present = set().union(*summaries)
    print(table(summaries, {name: form for name, form in _COLUMNS.items() if name in present}))
    print(json.dumps(report))


def _summary(
    name: str, results: Mapping[str, WayResult], job: Job, rates: Mapping[str, float], flops: int
) -> dict[str, Any]:
    result = results[name]
    seconds = statistics.median(result.seconds)
    precision = _PRECISIONS.get(name, job.precision)
    cells = sum(lap.cells for lap in result.laps)
    return {
        "precision": precision,
        "rows_per_second": len(job.examples) / seconds,
        "tokens_per_second": sum(job.lengths) / seconds,
        "padding": 1 - sum(job.lengths) * len(result.laps) / cells,
        **{
            f"x_{reference}": median_ratio(result.seconds, results[reference].seconds)
            for reference in REFERENCES
            if reference in results
        },
        "share_of_product": flops / seconds / 1e9 / rates[precision],
        "peak_mib": result.peak_mib,
        "seconds": result.seconds,
    }
