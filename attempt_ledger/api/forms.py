"""In which form an answer leaves: what Accept asks for, and large ones by way of a file."""

from __future__ import annotations

import io
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import IO, Any, BinaryIO, Final

import pyarrow as pa
from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from attempt_ledger.api.caching import FRESH
from attempt_ledger.api.problems import Problem
from attempt_ledger.api.routing import JSON
from attempt_ledger.api.service import Service
from replay.formats.csv import write_csv
from replay.formats.json import BATCH as BATCH_ROWS
from replay.formats.json import Batched, write_jsonl
from replay.formats.parquet import write_parquet

LINES: Final = "application/x-ndjson"
BATCH: Final = "application/cloudevents-batch+json"
CSV: Final = "text/csv"
PARQUET: Final = "application/vnd.apache.parquet"
ARROW: Final = "application/vnd.apache.arrow.stream"

_PIECE: Final = 1 << 18
_IN_MEMORY: Final = 1 << 20


def accepted(request: Request, offered: Sequence[str]) -> str:
    """Return the form, of those offered, that Accept prefers; the first where it says nothing.

    Raises Problem where it accepts none. Quality values and wildcards are read as RFC 9110 says.
    """
    header = ",".join(request.headers.getlist("accept"))
    if not header.strip():
        return offered[0]
    wanted = [_range(part) for part in header[:4096].split(",") if part.strip()]
    best, chosen = 0.0, ""
    for media in offered:
        # The most exact range that fits says how much it is wanted.
        fits = [(range_.count("*"), -q) for range_, q in wanted if _fits(range_, media)]
        quality = -min(fits)[1] if fits else 0.0
        if quality > best:
            best, chosen = quality, media
    if not chosen:
        raise Problem("not-acceptable", f"Accept should name one of {', '.join(offered)}.")
    return chosen


def _range(part: str) -> tuple[str, float]:
    media, *parameters = (each.strip().lower() for each in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return media, min(1.0, max(0.0, float(value)))
            except ValueError:
                return media, 0.0
    return media, 1.0


def _fits(range_: str, media: str) -> bool:
    kind = media.partition("/")[0]
    return range_ in (media, f"{kind}/*", "*/*")


def events_answer(
    request: Request,
    lines: Iterable[str],
    position: int,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Write events, each a line of CloudEvents JSON, as lines or as a batch, as Accept asks."""
    form = accepted(request, (LINES, BATCH, JSON))
    body = "".join(f"{line}\n" for line in lines) if form == LINES else f"[{','.join(lines)}]"
    about = {"cache-control": FRESH, "ledger-position": str(position), **(headers or {})}
    return Response(body, headers=about, media_type=form)


async def written(
    service: Service, write: Callable[[BinaryIO], Mapping[str, str]], media: str
) -> StreamingResponse:
    """Write an answer of any size into a file of its own, then send it as fast as it is taken.

    So a slow reader holds nothing but that file: neither a thread nor a connection to the ledger.
    `write` returns the headers that the answer has besides.
    """
    file: Any = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed when it is sent

    def fill() -> dict[str, str]:
        try:
            headers = {"cache-control": FRESH, **write(file), "content-length": str(file.tell())}
            file.seek(0)
            return headers
        except BaseException:
            file.close()
            raise

    headers = await service.many(fill)
    return StreamingResponse(_pieces(file), headers=headers, media_type=media)


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece


TABLES: Final = (CSV, LINES, PARQUET, ARROW)
"""The forms of a table."""


def write_table(table: Batched, media: str, file: BinaryIO) -> None:
    """Write a table, or rows that are made while they are read, in one of its forms."""
    if media == PARQUET:
        write_parquet(table, file)
    elif media == ARROW:
        with pa.ipc.new_stream(file, table.schema) as writer:
            for batch in table.to_batches(max_chunksize=BATCH_ROWS):
                writer.write_batch(batch)
    else:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="\n")
        try:
            (write_csv if media == CSV else write_jsonl)(table, text)
            text.flush()
        finally:
            text.detach()
