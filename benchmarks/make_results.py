"""Write a believable results CSV of any size, the same bytes for the same arguments.

    python benchmarks/make_results.py 1000000 > results.csv

Candidates sit about five times each, fail, wait and try again, in the order of time as a
results feed would deliver them. Every row has a result, so that N rows are 2 N events;
`--pending` leaves that share without one. Nothing here is anybody's data.
"""

from __future__ import annotations

import argparse
import heapq
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

EXAMS = [
    *("AZ-104", "AZ-204", "AZ-305", "AZ-400", "AZ-500", "AZ-900", "AI-102", "AI-900", "DP-203"),
    *("DP-300", "DP-900", "MB-300", "MB-700", "MS-100", "MS-101", "MS-500", "MS-700", "PL-100"),
    *("PL-200", "PL-300", "SC-200", "SC-300", "SC-900", "98-361", "98-364", "98-381", "MO-100"),
    "MO-200",
]
BETA = "AZ-700"
HEADER = "candidate_id,exam,registration_id,started_at,ended_at,delivery,outcome,result_at,score\n"
FIRST_DAY = datetime(2020, 1, 6, tzinfo=UTC)
YEARS = 3
SITTINGS_EACH = 5
MINUTE = timedelta(minutes=1)


def rows(count: int, seed: int, pending: float) -> Iterator[str]:
    """Yield `count` CSV rows in the order of their start; the same for the same arguments."""
    draw = random.Random(seed).random
    candidates = max(1, count // SITTINGS_EACH)
    minutes = YEARS * 365 * 24 * 60
    # (start in minutes since FIRST_DAY, candidate, exam): what each candidate sits next.
    diary = [
        (int(draw() * minutes), 100_000 + n, EXAMS[int(draw() * len(EXAMS))])
        for n in range(candidates)
    ]
    heapq.heapify(diary)
    for number in range(count):
        start, candidate, exam = diary[0]
        beta = draw() < 0.01
        passed = draw() < 0.55
        if passed:
            following = (start + 20_000 + int(draw() * 200_000), candidate, _other(exam, draw()))
        else:
            following = (start + 1_500 + int(draw() * 30_000), candidate, exam)
        heapq.heapreplace(diary, following)
        began = FIRST_DAY + start * MINUTE
        ended = began + (25 + int(draw() * 120)) * MINUTE
        outcome, score = "fail", str(300 + int(draw() * 400))
        if passed:
            outcome, score = "pass", str(700 + int(draw() * 300))
        result_at, delivery = "", "live"
        if beta:
            exam, delivery, result_at = BETA, "beta", _text(ended + 60 * 1440 * MINUTE)
        if pending and draw() < pending:
            outcome, result_at, score = "pending", "", ""
        yield (
            f"C-{candidate},{exam},R-{number + 1:08d},{_text(began)},{_text(ended)},"
            f"{delivery},{outcome},{result_at},{score}\n"
        )


def _text(instant: datetime) -> str:
    return f"{instant.isoformat()[:19]}Z"


def _other(exam: str, drawn: float) -> str:
    """Name an exam other than this one, by a number drawn from 0 to 1."""
    others = [each for each in EXAMS if each != exam]
    return others[int(drawn * len(others))]


def main() -> None:
    """Write the file to standard output."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("rows", type=int)
    parser.add_argument("--seed", type=int, default=20210331)
    parser.add_argument("--pending", type=float, default=0.0, help="share without a result, 0 to 1")
    arguments = parser.parse_args()
    sys.stdout.write(HEADER)
    sys.stdout.writelines(rows(arguments.rows, arguments.seed, arguments.pending))


if __name__ == "__main__":
    main()
