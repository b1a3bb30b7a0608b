"""What has become of an output since: the same question on the latest knowledge."""

from __future__ import annotations

import tempfile
from typing import NamedTuple

from projections.standing import Moment
from replay.bearing import since, told
from replay.checking import key_of
from replay.everyone import Everyone
from replay.formats.forms import rows_of, write
from replay.outputs import Output, compute
from replay.rows_in_process import Row, apart, shortened


class Restated(NamedTuple):
    """What differs on the latest knowledge, and the events recorded since that did it."""

    differs: list[str]
    events: list[str]


def restated(everyone: Everyone, before: Output) -> Restated:
    """Compare an output with the same one on the latest knowledge."""
    head = everyone.ledger.head()
    receipt = before.settled
    moment = Moment(receipt.as_of or 0, head.recorded_at, head.position)
    after = compute(
        everyone, "table" if receipt.of == "events" else receipt.of, receipt.name, moment,
        receipt.parameters, form="jsonl", basis="restated", program=receipt.program,
    )  # fmt: skip
    if after.settled.sha256 == receipt.sha256:
        return Restated([], [])
    found = apart(
        rows_in(after), rows_in(before), key_of(before), here="restated", there="as it was"
    )
    events = [told(row) for row in since(everyone.ledger, receipt, head.position, found.rows)]
    return Restated(shortened(found.sentences), shortened(events))


def rows_in(output: Output) -> list[Row]:
    """Return an output's rows as texts, the header first."""
    receipt = output.receipt.model_copy(update={"form": "jsonl"})
    with tempfile.TemporaryFile() as file:
        write(output._replace(receipt=receipt), file)
        return list(rows_of(file, "jsonl"))
