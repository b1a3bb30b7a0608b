"""CSV and JSON of the read model that are whole, or say so: nothing is cut without a word."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from datasette.app import Datasette

from ledger.intake.csv import GUARDED

_TEXT: Final = "text/plain; charset=utf-8"
_LONGER: Final = (
    "This answer has more rows than one page holds: leave out _shape, whose object says where it "
    "goes on (next), or ask a table for .csv, which has all its rows; narrow a question down."
)


class Whole:
    """Answer CSV from all the pages there are, texts guarded as everywhere; pass on the rest.

    JSON as a bare array has no room to say that there is more: then it is refused.
    """

    def __init__(self, app: Any, datasette: Datasette) -> None:
        """Stand before an application of ASGI, which is that of `datasette`."""
        self._app = app
        self._datasette = datasette

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
        asks = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        words = dict(asks)
        # A number of rows that was asked for is no cut.
        page = words.get("_size", "").isdigit()
        if path.endswith(".csv"):
            await self._csv(path.removesuffix(".csv"), asks, page, send)
        elif path.endswith(".json") and not page and {"_shape", "_nl"} & {*words}:
            first = await self._page(path.removesuffix(".json"), asks)
            if first[0] == 200 and _is_cut(first[1]):
                await _answer(send, 400, _TEXT, f"{_LONGER}\n")
            else:
                await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _page(
        self, path: str, asks: Sequence[tuple[str, str]], **more: str
    ) -> tuple[int, dict[str, Any]]:
        """Ask for one page of rows; return its status and what it holds."""
        left_out = {"_shape", "_nl", "_stream", "_dl", "_header", *more}
        words = [*((name, value) for name, value in asks if name not in left_out), *more.items()]
        answer = await self._datasette.client.get(f"{path}.json?{urlencode(words)}")
        try:
            return answer.status_code, answer.json()
        except ValueError:
            return answer.status_code, {"error": answer.text}

    async def _csv(self, path: str, asks: Sequence[tuple[str, str]], page: bool, send: Any) -> None:
        size = {} if page else {"_size": "max"}
        status, first = await self._page(path, asks, **size)
        if status != 200:
            await _answer(send, status, _TEXT, f"{first.get('error') or 'Not found.'}\n")
            return
        if first.get("truncated") and not first.get("next"):
            await _answer(send, 400, _TEXT, f"{_LONGER}\n")
            return
        headers = [(b"content-type", b"text/csv; charset=utf-8")]
        if dict(asks).get("_dl"):
            name = path.rpartition("/")[2]
            headers.append((b"content-disposition", f'attachment; filename="{name}.csv"'.encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        body = _lines([first["columns"]])
        async for rows in self._rows(path, asks, first, whole=not page):
            body += _lines(rows)
            await send({"type": "http.response.body", "body": body.encode(), "more_body": True})
            body = ""
        await send({"type": "http.response.body", "body": body.encode()})

    async def _rows(
        self, path: str, asks: Sequence[tuple[str, str]], first: dict[str, Any], *, whole: bool
    ) -> AsyncIterator[list[list[Any]]]:
        """Yield the rows of one page after the other."""
        yield first["rows"]
        after = first.get("next")
        while whole and after:
            status, page = await self._page(path, asks, _size="max", _next=str(after))
            if status != 200:  # the connection ends, so that nobody takes this for all
                raise OSError(f"{path} could not be read to its end: {page.get('error')}")
            yield page["rows"]
            after = page.get("next")


def _is_cut(page: dict[str, Any]) -> bool:
    return bool(page.get("truncated") or page.get("next"))


def _lines(rows: Sequence[Sequence[Any]]) -> str:
    """Write rows as CSV that a spreadsheet computes nothing of (spec section 5)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(map(_guarded, row) for row in rows)
    return text.getvalue()


def _guarded(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(tuple(GUARDED)) else value


async def _answer(send: Any, status: int, kind: str, text: str) -> None:
    headers = [(b"content-type", kind.encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
