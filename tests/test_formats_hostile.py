"""Whatever the texts of the data are, no file of ours runs, computes or fetches anything."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import CommandLine
from openpyxl import load_workbook
from playwright.sync_api import Browser
from reporting import CATALOGUE, MARCH, inputs, snapshot, written
from scenarios import exam, failed, requested
from selectolax.lexbor import LexborHTMLParser

from ledger.ledger import Ledger
from projections.reports.registry import REPORTS
from replay.formats import CannotWrite, chart
from replay.formats.page import NOT_XML
from replay.outputs import Output, compute, rows_of, write
from replay.receipts import Form, Parameters, beside

RUN = "window.canary=1"
HOSTILE = (
    f"</script><script>{RUN};alert(1)</script>",
    f'<img src=x onerror="{RUN}">',
    f'" onmouseover="{RUN}" autofocus onfocus="{RUN}',
    f"' onload='{RUN}' x='",
    f"<svg onload={RUN}><animate onbegin={RUN} attributeName=x dur=1s>",
    f"<g onclick={RUN}><set attributeName=onload to={RUN}></g>",
    f"<foreignObject><script>{RUN}</script></foreignObject>",
    f"</style><script>{RUN}</script>",
    f"</title><script>{RUN}</script>",
    f"</textarea></noscript></template><script>{RUN}</script>",
    f"<!--<script>{RUN}",
    f"--><script>{RUN}</script>",
    f"--!><script>{RUN}</script>",
    f"]]><script>{RUN}</script>",
    f"<![CDATA[<script>{RUN}</script>]]>",
    f"<?xml-stylesheet href='//evil.example/x'?><!DOCTYPE x [<!ENTITY e '{RUN}'>]>&e;",
    f"javascript:{RUN}",
    f'<a href="javascript:{RUN}" target=_top>x</a>',
    "<base href=//evil.example/><link rel=stylesheet href=//evil.example/x>",
    '<meta http-equiv=refresh content="0;url=//evil.example/">',
    f"<iframe srcdoc='<script>parent.{RUN}</script>'></iframe>",
    f"<form action=//evil.example/><button formaction='javascript:{RUN}' autofocus>",
    "<style>@import url(//evil.example/x);*{background:url(//evil.example/y)}</style>",
    "url(//evil.example/z)",
    f"&lt;script&gt;{RUN}&lt;/script&gt;",
    f"&#60;script&#62;{RUN}&#x3c;/script>",
    "&amp;&quot;&apos;&;&#0;&#x110000;",
    f"{{{{constructor.constructor('{RUN}')()}}}}",
    f"${{{RUN}}}`${{{RUN}}}`",
    f"'+({RUN})+'",
    f'"+({RUN})+"\\',
    f"\\u003c/script>\\x3cscript>{RUN}\\",
    f"\u2028{RUN}\u2029{RUN}\x85{RUN}",
    "\x00NUL \x08 \x0b \x0c \x1b[2J\x1b]0;title\x07 \x7f \x9b31m",
    "\r\nSet-Cookie: canary=1\r\n\r\n",
    "\u202eright to left\u2066\u200b\ufeff\ufffe\uffff",
    "<r><t>rich</t></r><f>1+1</f></r>",
    "_x0041_ _x000D_ _x005F_",
    '=HYPERLINK("http://evil.example/","x")',
    "@SUM(1)",
    "+cmd|' /C calc'!A0",
    "-1+1",
    "\t=1",
    "'=1",
    "http://evil.example/ mailto:x@evil.example",
    "",
    " ",
)
HELD = tuple(NOT_XML.sub("\ufffd", text) for text in HOSTILE)
"""As a page can hold them."""


def hostile_table(schema: pa.Schema) -> pa.Table:
    """Fill every text of a table with each dangerous sequence, but for months, which are ours."""
    rows = []
    for n, text in enumerate(HOSTILE):
        row: dict[str, Any] = {}
        for field in schema:
            if field.name == "month":
                row[field.name] = f"2021-{n % 12 + 1:02d}"
            elif pa.types.is_string(field.type):
                row[field.name] = text
            else:
                row[field.name] = n + 1
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=schema)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """Yield a ledger, so that there is something to make receipts of."""
    with written(tmp_path_factory.mktemp("hostile") / "a.ledger", CATALOGUE) as made:
        yield made


def hostile(ledger: Ledger, name: str, form: str, exam: str = HOSTILE[0]) -> Output:
    """Make a report in which every text is dangerous, that of its heading too."""
    asked = inputs(snapshot(ledger))
    output = compute(
        asked.snapshot, "report", name, Parameters(),
        form=form, basis="restated", program=f"attempt-ledger {HOSTILE[0]}",
    )  # fmt: skip
    receipt = output.receipt.model_copy(update={"parameters": Parameters(exam=exam)})
    return Output(hostile_table(REPORTS[name].schema), receipt)


def bytes_of(output: Output) -> bytes:
    """Write an output."""
    file = io.BytesIO()
    write(output, file)
    return file.getvalue()


@pytest.fixture(scope="module")
def pages(ledger: Ledger, tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
    """Write every report as a page, and each chart as a page and as a picture.

    Drawing takes half a minute: of the workers of a session one draws, and all look.
    """
    folder = tmp_path_factory.mktemp("pages")
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = tmp_path_factory.getbasetemp().parent / "hostile-pages"
        folder.mkdir(exist_ok=True)
    made = []
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in REPORTS:
            for form, suffix in (
                ("html", "html"), ("picture.html", "c.html"), ("picture.svg", "svg")
            ):  # fmt: skip
                if form == "picture.html" and name != "volumes":
                    continue  # what it holds is in the other two
                path = folder / f"{name}.{suffix}"
                if not path.exists():
                    path.write_bytes(bytes_of(hostile(ledger, name, form)))
                made.append(path)
    return made


# -- pages and pictures

OURS = {
    "html", "head", "meta", "title", "style", "body", "h1", "p", "figure", "div", "table", "thead",
    "tbody", "tr", "th", "td", "footer", "script", "-text",
    "svg", "g", "path", "rect", "line", "text", "tspan", "defs", "clippath", "-doctype",
}  # fmt: skip


def test_a_page_holds_our_elements_and_the_texts_of_the_data_as_texts(
    pages: Sequence[Path],
) -> None:
    """Read by a parser of HTML: no element, attribute or comment comes of a text."""
    for path in pages:
        if path.suffix != ".html":
            continue
        page = LexborHTMLParser(path.read_text())
        for node in page.root.traverse(include_text=True):  # type: ignore[union-attr]
            assert node.tag in OURS, (path.name, node.html)
            for name in node.attributes:
                assert not name.startswith("on"), (path.name, node.html)
                assert name not in ("href", "src", "style", "srcdoc", "action"), (path.name, name)
        scripts = page.css("script")
        assert [script.attributes for script in scripts] == [
            {"type": "application/json", "id": "receipt"} for _ in scripts
        ]
        policy = page.css("meta[http-equiv]")[0].attributes["content"]
        assert policy is not None
        assert policy.startswith("default-src 'none';")
        assert "unsafe" not in policy
        if path.name.endswith(".c.html"):
            continue
        assert json.loads(scripts[0].text())["parameters"]["exam"] == HOSTILE[0]
        names = REPORTS[path.stem].schema.names
        at = next(n for n, name in enumerate(names) if name not in ("month",))
        cells = [row.css("td")[at].text() for row in page.css("tbody tr")]
        assert cells == list(HELD), path.name


def test_a_picture_is_xml_of_shapes_and_texts(pages: Sequence[Path]) -> None:
    """Nothing in it links, runs or fetches."""
    for path in pages:
        if path.suffix == ".svg":
            ElementTree.fromstring(path.read_bytes())
            chart.check_still(path.read_bytes())


def test_a_real_browser_runs_nothing_of_any_page(pages: Sequence[Path], browser: Browser) -> None:
    """No dialog, no word on its console, no request but for the page, no canary."""
    context = browser.new_context()
    heard: list[str] = []
    for path in pages:
        page = context.new_page()
        page.on("dialog", lambda dialog: (heard.append(dialog.message), dialog.dismiss()))
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        asked: list[str] = []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.goto(path.as_uri())
        page.mouse.move(300, 300)
        page.mouse.click(300, 300)
        assert page.evaluate("window.canary") is None, path.name
        assert asked == [path.as_uri()], path.name
        assert page.url == path.as_uri()
        assert context.cookies() == []
        page.close()
    assert heard == []


# -- drawing


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_drawing_library_that_dies_is_one_sentence(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """It is native code and aborts; this process goes on."""
    monkeypatch.setattr(chart, "holdable", lambda spec: spec)
    monkeypatch.setattr(chart, "command", lambda _: [sys.executable, "-c", "import os; os.abort()"])
    with pytest.raises(CannotWrite, match=r"^the chart was not drawn: the drawing .* \(SIGABRT\)$"):
        bytes_of(hostile(ledger, "exceptions", f"picture.{kind}"))


@pytest.mark.parametrize("kind", ["svg", "png", "html"])
def test_a_control_character_of_a_reason_is_drawn_as_a_replacement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """From the ledger to the file, by the command."""
    code = HOSTILE[0]
    told = (
        *CATALOGUE,
        exam(code),
        failed(code, on="2021-03-01T09:00Z", reg="R-1"),
        requested(code, on="2021-03-04T09:00Z", reg="R-1", request="X-1", reason="a\x1b\x00b"),
    )
    written(tmp_path / "attempts.ledger", told).close()
    door = CommandLine(tmp_path, monkeypatch)
    for name in ("exceptions", "volumes"):
        door.done("report", name, "--to", MARCH[1], "--chart", f"{name}.{kind}")
        assert door.done("receipt", "check", f"{name}.{kind}")
        assert b"<script" not in (tmp_path / f"{name}.{kind}").read_bytes()
    if kind == "svg":
        assert "a\ufffd\ufffdb" in (tmp_path / "exceptions.svg").read_text()


def test_nothing_is_left_of_a_picture_that_was_not_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No draft, no receipt, and what stood there stays."""
    monkeypatch.setattr(chart, "command", lambda _: [sys.executable, "-c", "import os; os.abort()"])
    written(tmp_path / "attempts.ledger").close()
    door = CommandLine(tmp_path, monkeypatch)
    for words in (("--chart", "a.svg"), ("--output", "a.html")):
        before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
        said = door.wrong("report", "volumes", *words)
        assert said.startswith("the chart was not drawn: the drawing library died")
        after = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
        assert after == before


# -- other forms


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet", "xlsx", "html"])
def test_every_form_gives_the_texts_back(ledger: Ledger, name: str, form: Form) -> None:
    """As they are, but that a page has U+FFFD for what it cannot hold."""
    if form == "html" and name != "exceptions":
        return  # one is as good as another, and each is drawn
    output = hostile(ledger, name, form)
    rows = list(rows_of(io.BytesIO(bytes_of(output)), form))
    at = rows[0].index(next(n for n in output.table.schema.names if n != "month"))
    texts = [row[at] for row in rows[1:]]
    assert texts == list(HELD if form == "html" else HOSTILE)


def test_a_workbook_holds_texts_and_no_formula_or_link(ledger: Ledger) -> None:
    """Every part is XML; a cell that looks like a formula, a link or rich text is a text.

    The one picture is the chart, inside, on a sheet of its own.
    """
    file = io.BytesIO(bytes_of(hostile(ledger, "exceptions", "xlsx")))
    with zipfile.ZipFile(file) as book:
        drawn = [part for part in book.namelist() if b"<drawing " in book.read(part)]
        assert drawn == ["xl/worksheets/sheet2.xml"]
        pictures = [part for part in book.namelist() if part.endswith(".png")]
        assert [book.read(part)[:4] for part in pictures] == [b"\x89PNG"]
        for part in {*book.namelist()} - {*pictures}:
            root = ElementTree.fromstring(book.read(part))
            tags = {element.tag.rpartition("}")[2] for element in root.iter()}
            assert not tags & {"f", "hyperlink", "hyperlinks", "hlinkClick", "r"}, part
            for element in root.iter():
                assert element.get("TargetMode") != "External", part
    sheet = load_workbook(file).worksheets[0]
    assert {cell.data_type for (cell,) in sheet.iter_rows(max_col=1) if cell.value} <= {
        "s",
        "inlineStr",
    }


def test_a_csv_begins_no_cell_as_a_formula_would(ledger: Ledger) -> None:
    """Whatever column it is in; the guard itself is guarded."""
    text = bytes_of(hostile(ledger, "blocked", "csv")).decode()
    for row in csv.reader(io.StringIO(text, newline="")):
        for cell in row:
            assert not cell.startswith(tuple("=+-@\t\r")), cell
            assert not cell.startswith("'") or cell[1] in "=+-@\t\r'", cell


def test_a_formula_put_into_a_workbook_is_no_text_that_reads_like_it(
    ledger: Ledger, tmp_path: Path
) -> None:
    """A check would tell the one from the other."""
    path = tmp_path / "a.xlsx"
    path.write_bytes(bytes_of(hostile(ledger, "exceptions", "xlsx")))
    book = load_workbook(path)
    cell = next(c for (c,) in book.worksheets[0].iter_rows(max_col=1) if str(c.value)[:1] == "=")
    assert cell.data_type != "f"
    cell.value = cell.value
    cell.data_type = "f"
    book.save(path)
    with path.open("rb") as file:
        texts = [row[0] for row in rows_of(file, "xlsx")]
    assert 'the formula =HYPERLINK("http://evil.example/","x")' in texts


def bomb(path: Path, part: str = "xl/worksheets/sheet1.xml") -> None:
    """Write a workbook of a few megabytes, of which a part unpacks to two gigabytes."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as book,
        book.open(part, "w", force_zip64=True) as file,
    ):
        for _ in range(2048):
            file.write(b" " * (1 << 20))


def test_a_workbook_that_unpacks_to_gigabytes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what its directory says, before anything is unpacked."""
    written(tmp_path / "attempts.ledger").close()
    bomb(tmp_path / "bomb.xlsx")
    said = CommandLine(tmp_path, monkeypatch).wrong("receipt", "check", "bomb.xlsx")
    assert "would unpack to 2,147,483,648" in said


def test_parquet_keeps_texts_as_they_are(ledger: Ledger) -> None:
    """It is for programs."""
    table = pq.read_table(io.BytesIO(bytes_of(hostile(ledger, "exceptions", "parquet"))))
    assert table["reason"].to_pylist() == list(HOSTILE)
    assert beside(Path("a.csv")).name == "a.csv.receipt.json"
