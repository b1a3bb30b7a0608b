"""The front door for Python: what it shows, what it answers, and what it refuses."""

from __future__ import annotations

import dataclasses
import inspect
import pydoc
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from example_ledger import facts

import attempt_ledger as al
from attempt_ledger import answers
from attempt_ledger.access import Access
from ledger.models import EVENT_TYPES
from projections import answers as models
from projections.authorizations import Authorization
from projections.exceptions import Request
from replay.snapshot import Snapshot as Core

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
NOW = datetime(2023, 7, 1, tzinfo=UTC)
BEGAN = datetime(2023, 6, 30, 9, tzinfo=UTC)


def example(path: Path) -> Path:
    """Make a ledger of the whole example, with a key that signs."""
    with Access(path).create() as ledger:
        ledger.append(facts(), keep_recorded_at=True)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a ledger with the whole example."""
    return example(tmp_path / "a.ledger")


@pytest.fixture
def ledger(path: Path) -> Iterator[al.Ledger]:
    """Yield it, opened to read."""
    with al.open(path, clock=lambda: NOW) as opened:
        yield opened


@pytest.fixture
def writable(path: Path) -> Iterator[al.Ledger]:
    """Yield it, opened to write."""
    with al.open(path, write=True, clock=lambda: NOW, source="urn:booking") as opened:
        yield opened


def attempted(id: str = "R-1/attempted", **more: Any) -> al.Fact:
    """Make a sitting."""
    fields = {"exam": "AZ-104", "registration_id": "R-1", "delivery": "live", "time": BEGAN}
    return al.ExamAttempted("C-1", **(fields | {"id": id} | more))


def test_the_page_runs(tmp_path: Path) -> None:
    """Every block of docs/python.md, in order, on the example's ledger."""
    example(tmp_path / "attempts.ledger")
    (tmp_path / "page.py").write_text("\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.S)))
    done = subprocess.run(
        [sys.executable, "-W", "error", "page.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_door_shows_what_there_is_and_nothing_else() -> None:
    """`dir` and `__all__` agree, every name is there and documented."""
    assert dir(al) == sorted(al.__all__)
    for name in al.__all__:
        assert inspect.getdoc(getattr(al, name)), name
    assert {name for name in al.__all__ if name in EVENT_TYPES} == {*EVENT_TYPES} - {
        "CandidateForgotten"
    }
    with pytest.raises(AttributeError, match="no attribute 'import_module_'"):
        _ = al.import_module_


@pytest.mark.parametrize(
    "cls", [al.Ledger, al.Snapshot, al.Report, al.Exceptions, al.Authorizations]
)
def test_what_is_shown_is_documented_and_typed(cls: type, ledger: al.Ledger) -> None:
    """Each public method has a docstring, and a type for all it takes and returns."""
    made = {
        al.Ledger: ledger,
        al.Snapshot: ledger.at(),
        al.Exceptions: ledger.exceptions,
        al.Authorizations: ledger.authorizations,
    }
    if cls in made:
        public = {name for name in vars(cls) if not name.startswith("_")}
        assert set(dir(made[cls])) == public
    for name, member in vars(cls).items():
        if name.startswith("_"):
            continue
        function = member.fget if isinstance(member, property) else member
        assert inspect.getdoc(function), name
        signature = inspect.signature(function)
        assert signature.return_annotation is not inspect.Signature.empty, name
        for parameter in list(signature.parameters.values())[1:]:
            assert parameter.annotation is not inspect.Parameter.empty, (name, parameter)


def test_importing_it_imports_nothing() -> None:
    """And one answer imports no compiler and no Arrow."""
    script = "import sys; import attempt_ledger; print(len(sys.modules), 'pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.endswith("False\n")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (answers.Standing, models.Standing),
        (answers.Reason, models.Reason),
        (answers.Cause, models.Cause),
        (answers.PolicyUsed, models.PolicyUsed),
        (answers.Problem, models.Problem),
        (answers.Sitting, models.Sitting),
        (answers.ExceptionRequest, Request),
        (answers.Authorization, Authorization),
    ],
)
def test_an_answer_has_the_fields_of_the_folds(ours: Any, theirs: Any) -> None:
    """By name, in order; an instant of the one is a datetime of the other."""
    names = [each.name for each in dataclasses.fields(ours) if each.name != "_answer"]
    assert names == list(theirs.model_fields)
    for each in dataclasses.fields(ours):
        if each.name != "_answer":
            of_the_fold = repr(inspect.get_annotations(theirs, eval_str=True)[each.name])
            assert ("datetime" in str(each.type)) == ("format_instant" in of_the_fold), each.name


def test_answers_are_those_of_the_command_line(ledger: al.Ledger) -> None:
    """The same object, to the byte; every instant with its zone."""
    snapshot = ledger.at(as_of="2021-04-12", known_at="@720")
    standing = snapshot.standing("C-1001", "AZ-104")
    core = Core(ledger._store, snapshot._bound.moment).standing("C-1001", "AZ-104")
    assert standing.to_json() == core.model_dump_json()
    assert standing.as_of == snapshot.as_of == datetime(2021, 4, 12, tzinfo=UTC)
    assert standing.eligible_from == datetime(2021, 4, 22, 13, 30, tzinfo=UTC)
    assert standing.policy is not None
    assert standing.policy.effective_from.utcoffset() == timedelta(0)
    assert ledger.standing("C-1001", "AZ-104", as_of=date(2021, 4, 12)).status == "waiting"


def test_everybody_is_each_by_himself(ledger: al.Ledger) -> None:
    """The Arrow table has the statuses of the single answers."""
    now = ledger.at()
    table = now.standings(exam="AZ-104")
    pairs = [(name, "AZ-104") for name in table["candidate"].to_pylist()]
    assert table["status"].to_pylist() == [each.status for each in now.standings(pairs)]
    some = now.standings(exam="AZ-104", candidates=["C-1001", "C-1102"])
    assert set(some["candidate"].to_pylist()) == {"C-1001", "C-1102"}


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda it: it.at(as_of=datetime(2021, 4, 12)), ValueError, "without a zone"),  # noqa: DTZ001
        (lambda it: it.at(as_of=1618185600), TypeError, "as_of should be a datetime"),
        (lambda it: it.at(as_of="2021-02-30"), ValueError, "no day of the calendar"),
        (lambda it: it.at(known_at="@x"), ValueError, "'@x' is no position"),
        (lambda it: it.at(known_at="@10000"), al.UnansweredMoment, "not reached yet"),
        (lambda it: it.standing("C-1", 104), TypeError, "exam should be text"),
        (lambda it: it.standing("", "AZ-104"), TypeError, "candidate should be text"),
        (lambda it: it.at().standings(["C-1"]), TypeError, "a pair is"),
        (lambda it: it.at().standings(candidates="C-1"), TypeError, "a list or another iterable"),
        (lambda it: it.at().diff(it), TypeError, "same open ledger"),
        (lambda it: it.report("volumes", month="March"), ValueError, "such as '2021-03'"),
        (lambda it: it.report("volumes", month="2021-03", end="2022-01-01"), TypeError, "not both"),
        (lambda it: it.report("volumes", as_published=True), ValueError, "when"),
        (lambda it: it.report("blocked", month="2021-03"), ValueError, "about one moment"),
        (lambda it: it.report("expiring", exam="AZ-104"), ValueError, "of no single exam"),
        (lambda it: it.report("volumes", exam="AZ-1O4"), ValueError, "nothing is known of an exam"),
        (lambda it: it.report("volumes", start="2021-04-01", end="2021-04-01"), ValueError, "hold"),
        (lambda it: it.at().report("blocked", month="2021-03"), ValueError, "about one moment"),
        (lambda it: it.events(after="42"), TypeError, "after should be a position"),
        (lambda it: it.follow(after=-1), TypeError, "after should be a position"),
        (lambda it: it.append([attempted()]), al.LedgerProblem, "opened to read"),
        (lambda it: it.import_file("x.csv"), al.LedgerProblem, "opened to read"),
    ],
)
def test_a_wrong_call_is_refused_at_the_call(
    ledger: al.Ledger, call: Callable[[al.Ledger], Any], error: type[Exception], sentence: str
) -> None:
    """With one sentence, before anything is computed."""
    with pytest.raises(error, match=sentence) as caught:
        call(ledger)
    assert "\n" not in str(caught.value)


CALLS: dict[str, dict[str, Any]] = {
    "Ledger.append": {"facts": []},
    "Ledger.events": {},
    "Ledger.follow": {},
    "Ledger.import_file": {"path": "x.csv"},
    "Ledger.at": {},
    "Ledger.report": {"name": "volumes"},
    "Ledger.standing": {"candidate": "C-1001", "exam": "AZ-104"},
    "Snapshot.audit": {"name": "backdated"},
    "Snapshot.diff": {},
    "Snapshot.report": {"name": "volumes"},
    "Snapshot.standing": {"candidate": "C-1001", "exam": "AZ-104"},
    "Snapshot.standings": {},
    "Snapshot.table": {"name": "exceptions"},
    "Exceptions.request": {
        "candidate": "C-1", "exam": "AZ-104", "request_id": "Q", "registration_id": "R",
        "reason": "lab-crash",
    },
    "Exceptions.grant": {"candidate": "C-1", "request_id": "Q"},
    "Exceptions.reject": {"candidate": "C-1", "request_id": "Q", "why": "late"},
    "Exceptions.revoke": {"candidate": "C-1", "request_id": "Q", "reason": "late"},
    "Exceptions.list": {},
    "Authorizations.grant": {"candidate": "C-1", "exam": "AZ-104", "authorization_id": "A"},
    "Authorizations.revoke": {"candidate": "C-1", "authorization_id": "A", "reason": "late"},
    "Authorizations.list": {},
}  # fmt: skip
"""A call of each method, right but for what is put in its place."""


def parameters_of(name: str) -> list[str]:
    cls, _, method = name.partition(".")
    every = inspect.signature(getattr(getattr(al, cls), method)).parameters
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [each.name for each in [*every.values()][1:] if each.kind not in kinds]


def test_each_method_is_called() -> None:
    """But for those that take nothing, or drafts alone, which are refused above."""
    made = {
        f"{cls.__name__}.{name}"
        for cls in (al.Ledger, al.Snapshot, al.Exceptions, al.Authorizations)
        for name, member in vars(cls).items()
        if not name.startswith("_") and not isinstance(member, property)
    }
    assert made - {*CALLS} == {"Ledger.close", "Snapshot.violations", "Snapshot.what_if"}


@pytest.mark.parametrize(
    ("name", "parameter"), [(name, each) for name in CALLS for each in parameters_of(name)]
)
def test_a_value_of_no_fitting_type_is_refused_at_the_call(
    writable: al.Ledger, name: str, parameter: str
) -> None:
    """Whatever stands for anything: a type of Python's that says nothing; and a number or text."""
    cls, _, method = name.partition(".")
    objects = {
        "Ledger": writable,
        "Snapshot": writable.at(),
        "Exceptions": writable.exceptions,
        "Authorizations": writable.authorizations,
    }
    before = writable.position
    call = getattr(objects[cls], method)
    takes = inspect.signature(call).parameters
    for wrong in (object(), 3.5, b"x"):
        if wrong == 3.5 and parameter == "interval":
            continue
        values = {**CALLS[name], parameter: wrong}
        first = [
            values.pop(each)
            for each in [*values]
            if each in takes and takes[each].kind is inspect.Parameter.POSITIONAL_ONLY
        ]
        with pytest.raises((TypeError, ValueError, al.LedgerProblem)) as caught:
            call(*first, **values)
        assert parameter.rstrip("s") in str(caught.value) or name == "Snapshot.diff"
        assert "\n" not in str(caught.value)
    assert writable.position == before


@pytest.mark.parametrize("name", [*inspect.signature(al.open).parameters])
def test_what_a_ledger_is_opened_with_is_checked(path: Path, name: str) -> None:
    """Nothing is taken for something else: "no" would be true."""
    for wrong in (object(), "" if name != "wait" else -1, b"x"):
        values = {"ledger": path, name: wrong}
        with pytest.raises((TypeError, ValueError), match=name):
            al.open(values.pop("ledger"), **values)


def test_who_follows_from_beyond_the_end_is_told(ledger: al.Ledger) -> None:
    """What comes up to that position would be missed."""
    with pytest.raises(al.LedgerProblem, match=r"721 lies beyond the last position of .*, 720"):
        ledger.follow(after=721)


def test_what_is_closed_is_used_no_more(path: Path) -> None:
    """Neither the ledger nor anything that came of it; closing it again does nothing."""
    with al.open(path, write=True, clock=lambda: NOW, source="urn:booking") as ledger:
        snapshot, following, exceptions = ledger.at(), ledger.follow(after=0), ledger.exceptions
        next(iter(following))
    uses: dict[str, Callable[[], object]] = {
        "position": lambda: ledger.position,
        "standing": lambda: ledger.standing("C-1001", "AZ-104"),
        "at": lambda: ledger.at(),
        "append": lambda: ledger.append([attempted()]),
        "follow": lambda: next(iter(ledger.follow(after=0))),
        "exceptions": lambda: exceptions.list(),
        "import_file": lambda: ledger.import_file(ROOT / "examples" / "results.csv"),
        "snapshot's standing": lambda: snapshot.standing("C-1001", "AZ-104"),
        "snapshot's table": lambda: snapshot.table("sittings"),
        "following": lambda: [*zip(range(10_000), following, strict=False)],
    }
    for use in uses.values():
        with pytest.raises(al.LedgerProblem, match=r" was closed: open it again$"):
            use()
    ledger.close()


@pytest.mark.parametrize(
    ("conditions", "sentence"),
    [
        ({"by": 7}, "by: should be text, not 7"),
        ({"by": "P1M"}, 'by: "P1M" is in months'),
        ({"types": ("Nothing",)}, "types: type 'Nothing' is unknown"),
        ({"nonsense": 7}, "nonsense: there is no such condition: there are candidate, subject"),
        ({"recorded_from": object()}, "recorded_from should be a datetime"),
        ({"by": "P7D"}, "audit exceptions has no condition by"),
        ({"candidate": "C-1001", "subject": "C-1001"}, "subject: candidate says whom it is about"),
        ({"valid_from": "2021-03-02", "valid_to": "2021-03-02"}, "nothing would be in between"),
    ],
)
def test_a_condition_that_cannot_be_is_one_sentence(
    ledger: al.Ledger, conditions: dict[str, Any], sentence: str
) -> None:
    """Of an audit: what is wrong, and what there is."""
    with pytest.raises((TypeError, ValueError), match=re.escape(sentence)) as caught:
        ledger.at().audit("exceptions", **conditions)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "error", "sentence"),
    [
        ({"time": datetime(2023, 6, 30)}, ValueError, "time: .* without a zone"),  # noqa: DTZ001
        ({"time": None}, TypeError, "time should be a datetime"),
        ({"id": 7}, TypeError, "id should be text"),
        ({"id": ""}, ValueError, "id is empty"),
        ({"exm": "AZ-104"}, ValueError, "exm"),
        ({"delivery": "paper"}, ValueError, "delivery"),
        ({"ended_at": datetime(2023, 6, 30)}, ValueError, "ended_at: .* without a zone"),  # noqa: DTZ001
    ],
)
def test_a_wrong_fact_is_refused_when_it_is_made(
    fields: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    """What is wrong is named."""
    with pytest.raises(error, match=sentence):
        attempted(**fields)


def test_an_id_is_required() -> None:
    """Without one a retry would be a second sitting."""
    with pytest.raises(TypeError, match=r"^ExamAttempted needs id="):
        al.ExamAttempted("C-1", exam="AZ-104", registration_id="R-1", delivery="live", time=BEGAN)


def test_a_retry_is_a_duplicate_and_what_is_written_is_sealed(
    writable: al.Ledger, path: Path
) -> None:
    """Before `append` returns; another fact under the same id is a conflict, others stand."""
    assert writable.append([attempted()]) == [al.Appended(721)]
    log = Path(f"{path}.tlog") / "checkpoint"
    assert log.read_text().splitlines()[1] == "721"
    again, other, new = writable.append(
        [attempted(), attempted(exam="AZ-900"), attempted("R-2/attempted", registration_id="R-2")]
    )
    assert (again, new) == (al.Duplicate(721), al.Appended(722))
    assert isinstance(other, al.Conflict)
    (event,) = writable.events(after=721)
    assert (event.source, event.time, event.data["exam"]) == ("urn:booking", BEGAN, "AZ-104")
    assert event.to_cloudevent()["id"] == event.id == "R-2/attempted"


def test_an_event_that_was_read_can_be_annulled(writable: al.Ledger) -> None:
    """By itself, without spelling its key out."""
    writable.append([attempted()])
    (event,) = writable.events(after=720)
    slip = al.EventAnnulled("C-1", annuls=event, reason="a slip", time=BEGAN, id="R-1/annulled")
    assert writable.append([slip]) == [al.Appended(722)]
    assert writable.standing("C-1", "AZ-104").sittings == ()


def test_a_fact_without_a_source_is_refused(path: Path) -> None:
    """Neither its own nor the ledger's."""
    with al.open(path, write=True) as opened, pytest.raises(ValueError, match="names no source"):
        opened.append([attempted()])


def test_a_file_is_imported_as_from_the_command_line(writable: al.Ledger, tmp_path: Path) -> None:
    """Refused rows are set aside, each with its problem."""
    rows = tmp_path / "results.csv"
    rows.write_text(
        "candidate_id,exam,registration_id,started_at,outcome\n"
        "C-1,AZ-104,R-9,2023-06-01T09:00:00Z,fail\nC-1,AZ-104,R-8,someday,fail\n"
    )
    report = writable.import_file(rows, rejects=tmp_path / "rejects.csv")
    assert (report.read, report.recorded, report.rejected) == (2, 2, 1)
    assert report.rejects == tmp_path / "rejects.csv"
    (row,) = (each for each in writable.events() if each.id == "R-9/result")
    slip = al.EventAnnulled(
        "C-1", annuls=row, reason="a slip", time=BEGAN, id="R-9/annulled", source="urn:x"
    )
    writable.append([slip])
    twice = writable.import_file(rows, rejects=tmp_path / "twice.csv")
    assert (twice.recorded, twice.rejected) == (0, 2)  # what was annulled, too
    again = writable.import_file(rows, rejects=tmp_path / "again.csv", again=True)
    assert (again.recorded, again.rejected) == (1, 1)
    lines = rows.read_text().splitlines()
    rows.write_text(f"{lines[0]}\nC-1,AZ-l04,R-77,2023-06-02T09:00:00Z,fail\n")
    known = writable.import_file(rows, rejects=tmp_path / "known.csv", known_exams_only=True)
    assert (known.recorded, known.rejected) == (0, 1)
    assert writable.import_file(rows, rejects=tmp_path / "all.csv").recorded == 2
    with pytest.raises(ValueError, match="again goes without keep_recorded_at"):
        writable.import_file(rows, again=True, keep_recorded_at=True)


def test_a_url_is_a_path_to_the_letter(path: Path) -> None:
    """As on the command line; a server that does not answer is one sentence, without a password."""
    with al.open(f"sqlite:///{path}") as opened:
        assert opened.position == 720
    with pytest.raises(ValueError, match="accepted is"):
        al.open("mysql://me:secret@host/db")
    with pytest.raises(al.LedgerProblem, match="cannot be reached") as caught:
        al.open("postgresql://me:secret@127.0.0.1:1/db")
    assert "secret" not in str(caught.value)
    with pytest.raises(al.LedgerProblem, match="there is no ledger"):
        al.open(path.with_name("none.ledger"))


def test_authorizations_are_granted_withdrawn_and_listed(writable: al.Ledger) -> None:
    """A repeated call records nothing; whoever is authorized need not be known."""
    granted = writable.authorizations.grant(
        "C-new", "AZ-104", authorization_id="A-1", sittings=2, valid_until=date(2030, 1, 1)
    )
    again = writable.authorizations.grant(
        "C-new", "AZ-104", authorization_id="A-1", sittings=2, valid_until=date(2030, 1, 1)
    )
    assert again == granted
    assert (granted.state, granted.sittings, granted.served) == ("running", 2, 0)
    assert granted.valid_until == datetime(2030, 1, 1, tzinfo=UTC)
    revoked = writable.authorizations.revoke("C-new", "A-1", reason="refunded")
    assert (revoked.state, revoked.reason) == ("revoked", "refunded")
    assert writable.authorizations.list("C-new") == [revoked]
    with pytest.raises(al.DeskProblem, match="C-new has no authorization A-2"):
        writable.authorizations.revoke("C-new", "A-2", reason="x")


def test_what_comes_back_shows_its_public_names_alone(ledger: al.Ledger) -> None:
    """dir() of an answer, its parts and an event, as completion asks it."""
    standing = ledger.standing("C-1001", "AZ-104", as_of="2021-04-12")
    event = next(ledger.events())
    for shown in (standing, standing.reasons[0], standing.sittings[0], standing.policy, event):
        assert dir(shown)
        assert not [name for name in dir(shown) if name.startswith("_")]
    assert " at 0x" not in pydoc.render_doc(al.Ledger)


def test_a_call_with_one_thing_for_several_or_with_none_is_refused(path: Path) -> None:
    """A sentence that says what to write; a name that is none, with those there are."""
    fact = al.ExamFailed("C", exam="AZ-104", registration_id="R", time="2021-01-01", id="a")
    with al.open(path, write=True, source="urn:x") as ledger:
        with pytest.raises(TypeError, match=r"not one: append\(\[fact\]\)"):
            ledger.append(fact)
        with pytest.raises(TypeError, match="one draft or more"):
            ledger.at().what_if()
        with pytest.raises(ValueError, match="no report 'x': accepted are volumes, blocked"):
            ledger.at().report("x")
        with pytest.raises(ValueError, match="no audit 'x': accepted are events, history"):
            ledger.at().audit("x")


@pytest.mark.parametrize("why", ["", " "])
def test_a_decision_without_a_reason_is_refused(path: Path, why: str) -> None:
    """As at the other doors: blanks say nothing."""
    with al.open(path, write=True) as ledger:
        for decide in (
            lambda: ledger.exceptions.reject("C-1", "X-1", why=why),
            lambda: ledger.exceptions.revoke("C-1", "X-1", reason=why),
            lambda: ledger.authorizations.revoke("C-1", "A-1", reason=why),
            lambda: ledger.authorizations.grant(
                "C-1", "AZ-104", authorization_id="A-1", reason=why
            ),
        ):
            with pytest.raises(TypeError, match="should be text that is not"):
                decide()
