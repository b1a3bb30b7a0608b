"""Tables, reports, audits, differences over HTTP: the command line's bytes, with receipts."""

from __future__ import annotations

import base64
import io
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bombs import zeros
from serving import Served, example, lines_of, served

from replay.receipts import beside

AS_OF = "2023-03-01T00:00:00Z"
LINES = {"accept": "application/x-ndjson"}


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the example's history, without tokens."""
    with served(example(tmp_path_factory.mktemp("api"))) as it:
        yield it


@pytest.mark.parametrize(
    ("path", "params", "words"),
    [
        ("violations", {"as_of": AS_OF}, ["violations", "--as-of", AS_OF]),
        (
            "diff",
            {"known_at": "@700", "to_known_at": "@720", "as_of": AS_OF},
            ["diff", "--known-at", "@700", "--to-known-at", "@720", "--as-of", AS_OF],
        ),
        (
            "reports/volumes",
            {"from": "2023-01-01", "to": "2023-02-01"},
            ["report", "volumes", "--from", "2023-01-01", "--to", "2023-02-01"],
        ),
        (
            "reports/volumes",
            {"from": "2023-01-01", "to": "2023-02-01", "as_published": "true"},
            ["report", "volumes", "--from", "2023-01-01", "--to", "2023-02-01", "--as-published"],
        ),
        ("audits/history", {"candidate": "C-1001"}, ["audit", "history", "C-1001"]),
        ("audits/backdated", {"known_at": "@700"}, ["audit", "backdated", "--known-at", "@700"]),
    ],
)
def test_they_are_the_command_lines_bytes(
    it: Served, path: str, params: dict[str, str], words: list[str]
) -> None:
    """As CSV and as lines."""
    assert it.get(f"/v1/{path}", **params).text == it.call(*words, "--format", "csv")
    lines = it.ask("GET", f"/v1/{path}", params=params, headers=LINES)
    assert lines.text == it.call(*words, "--format", "jsonl")


def test_a_month_is_short_for_a_period(it: Served) -> None:
    """As on the command line and from Python."""
    period = {"from": "2023-01-01", "to": "2023-02-01"}
    whole = it.ask("GET", "/v1/reports/volumes", params=period)
    short = it.ask("GET", "/v1/reports/volumes", params={"month": "2023-01"})
    assert short.content == whole.content
    linked = [re.findall(r"<(\S+)>", each.headers["link"])[0] for each in (whole, short)]
    one, other = (it.client.get(link).json() for link in linked)
    assert one == other
    for wrong, said in (
        ({"month": "2023-13"}, "month: '2023-13' is not a month such as '2021-03'"),
        ({"month": "2023-01", "to": "2023-02-01"}, "month is short for from and to"),
    ):
        answer = it.ask("GET", "/v1/reports/volumes", params=wrong)
        assert said in it.problem(answer, 400, "malformed-question")["detail"]


@pytest.mark.parametrize(
    ("path", "params", "said"),
    [
        ("reports/blocked", {"month": "2023-01"}, "blocked is about one moment"),
        ("reports/expiring", {"exam": "AZ-104"}, "expiring is of no single exam"),
        ("reports/volumes", {"exam": "AZ-1O4"}, "nothing is known of an exam 'AZ-1O4'"),
        ("reports/volumes", {"from": "2023-02-01", "to": "2023-02-01"}, "would hold nothing"),
        ("tables/certifications", {"exam": "AZ-104"}, "certifications are of no single exam"),
        ("tables/policies", {"exam": "AZ-104"}, "policies are of no single exam"),
        ("audits/events", {"candidate": "C-1", "subject": "C-1"}, "give one of them"),
        (
            "audits/events",
            {"recorded_from": "2021-03-02", "recorded_to": "2021-03-01"},
            "recorded_from: 2021-03-02T00:00:00Z does not lie before",
        ),
    ],
)
def test_what_a_table_is_not_about_is_refused(
    it: Served, path: str, params: dict[str, str], said: str
) -> None:
    """As on the command line and from Python."""
    answer = it.ask("GET", f"/v1/{path}", params=params)
    assert said in it.problem(answer, 400, "malformed-question")["detail"]


def test_a_receipt_is_linked_and_checks_the_answer(it: Served) -> None:
    """For ever: at the moment that was meant; and a changed answer is found."""
    answer = it.ask("GET", "/v1/reports/volumes", headers=LINES,
                    params={"from": "2023-01-01", "to": "2023-02-01"})  # fmt: skip
    (link,) = re.findall(r'<(\S+)>; rel="describedby"', answer.headers["link"])
    receipt = it.client.get(link).json()
    assert (receipt["name"], receipt["position"]) == ("volumes", 720)
    whole = {"receipt": receipt, "text": answer.text}
    assert it.ask("POST", "/v1/receipts/check", json=whole).json()["same"] is True
    changed = {**whole, "text": answer.text.replace("2023", "2022", 1)}
    found = it.ask("POST", "/v1/receipts/check", json=changed).json()
    assert (found["same"], found["differs"] != []) == (False, True)
    packed = base64.b64encode(answer.content).decode()
    again = it.ask("POST", "/v1/receipts/check", json={"receipt": receipt, "base64": packed})
    assert again.json()["same"] is True
    torn = base64.b64encode(b"PAR1 and no more").decode()
    for body in (
        {}, {"text": "a", "base64": "YQ=="}, {"base64": "%"}, {"text": "no receipt"},
        {"base64": torn}, {"base64": torn, "receipt": receipt},
    ):  # fmt: skip
        answer = it.ask("POST", "/v1/receipts/check", json=body)
        assert tempfile.gettempdir() not in answer.text
        if answer.status_code != 200:  # which says in what they differ
            it.problem(answer, 422, "malformed-body")
    bare = it.ask("POST", "/v1/receipts/check", json={"text": "a"}).json()
    assert bare["detail"] == "No receipt is inside the file: give the one beside it as /receipt."


def test_a_file_that_unpacks_to_gigabytes_is_one_sentence(it: Served, tmp_path: Path) -> None:
    """A report of a kilobyte, sent to be checked."""
    march = ("--from", "2023-01-01", "--to", "2023-02-01", "--format", "arrow")
    path = tmp_path / "out.arrow"
    it.call("report", "volumes", *march, "--output", str(path))
    receipt = json.loads(beside(path).read_text())
    zeros(path, pa.ipc.open_file(path).read_all())
    packed = base64.b64encode(path.read_bytes()).decode()
    found = it.ask("POST", "/v1/receipts/check", json={"receipt": receipt, "base64": packed})
    sentence = "the file is no arrow: it takes more than 1 GB to read, as no output does"
    assert sentence in found.json()["differs"]


def test_a_table_is_there_at_any_moment(it: Served) -> None:
    """As Parquet with its columns; what is not there is named."""
    answer = it.ask("GET", "/v1/tables/sittings", params={"known_at": "@700", "exam": "AZ-104"},
                    headers={"accept": "application/vnd.apache.parquet"})  # fmt: skip
    table = pq.read_table(io.BytesIO(answer.content))
    assert set(table["exam"].to_pylist()) == {"AZ-104"}
    assert answer.headers["ledger-position"] == "700"
    for kind in ("tables", "reports", "audits"):
        wrong = it.problem(it.get(f"/v1/{kind}/nothing"), 404, "unknown")
        assert "accepted are" in wrong["detail"]
    needs = it.problem(it.get("/v1/audits/history"), 400, "malformed-question")
    assert "needs candidate" in needs["detail"]
    other = it.ask("GET", "/v1/audits/history", params={"candidate": "C-1001", "by": "P7D"})
    assert it.problem(other, 404, "unknown")
    same = it.get("/v1/diff", as_of=AS_OF, known_at="@720")
    assert "both moments are the same" in it.problem(same, 400, "malformed-question")["detail"]


def test_a_draft_is_tried(it: Served) -> None:
    """What it would have done; what is wrong with it is a sentence."""
    text = it.call("policy", "show", "general", "--format", "toml")
    draft = text.replace("effective_from = 2021-03-31", "effective_from = 2021-04-01")
    draft = re.sub(r"after = \[[^\]]*\]", 'after = ["P90D"]', draft)
    answer = it.ask("POST", "/v1/what-if", json={"policies": [draft], "as_of": AS_OF}).json()
    assert answer["judged"] > 100
    assert answer["refused"] == len(
        [each for each in answer["sittings"] if each["change"] == "refused"]
    )
    assert answer["refused"] > 0
    wrong = it.ask("POST", "/v1/what-if", json={"policies": ["id = 7"]})
    it.problem(wrong, 422, "malformed-policy")


def test_proofs_are_checked_without_the_ledger(it: Served, tmp_path: Path) -> None:
    """A proof file, the verifier key, the checkpoint, the tiles; nothing beside them."""
    (event,) = lines_of(it.get("/v1/history", candidate="C-1001", limit=1))
    proof = it.get("/v1/proof", source=event["source"], id=event["id"])
    (tmp_path / "a.proof").write_bytes(proof.content)
    key = it.get("/v1/vkey").text.strip()
    assert "holds" in it.call("verify-proof", str(tmp_path / "a.proof"), "--key", key)
    assert it.get("/v1/checkpoint").text == it.call("checkpoint")
    assert it.get("/v1/log/checkpoint").text == it.call("checkpoint")
    tile = it.get("/v1/log/tile/0/000")
    assert (len(tile.content), "immutable" in tile.headers["cache-control"]) == (256 * 32, True)
    for path in ("lock", "verified", "../attempts.ledger", "tile/0/999", "..%2fattempts.ledger",
                 "tile/0/../../x", "%2e%2e/attempts.ledger.keys"):  # fmt: skip
        answer = it.client.get(f"/v1/log/{path}")
        assert answer.status_code == 404, path
    it.problem(it.get("/v1/proof", source="urn:x", id="y"), 404, "unknown")
    json.loads(it.get("/openapi.json").text)
