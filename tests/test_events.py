"""Events: what each of spec section 2 may say, and what is lifted out of it."""

from __future__ import annotations

from typing import Any

import pytest
from eventsourcing.utils import resolve_topic
from ledger_facts import FULL, MINIMAL, NINE, sample
from pydantic import ValidationError

from ledger.events import Recorded
from ledger.facts import Fact, fact_of
from ledger.instants import DAY, MAX_INSTANT, format_instant, parse_instant
from ledger.models import (
    EVENT_TYPES,
    EVENTS,
    EventAnnulled,
    ExamAttempted,
    ExamPassed,
    make_event,
)
from ledger.problems import LedgerProblem, MalformedFact

TYPES = list(EVENT_TYPES)


def test_the_types_are_those_of_the_contract() -> None:
    """The samples name them in the contract's order, and none is missing."""
    assert list(MINIMAL) == TYPES


@pytest.mark.parametrize("type", TYPES)
def test_a_type_takes_the_least_and_the_most_it_may_say(type: str) -> None:
    """Optional fields may be left out, or be null, which says the same."""
    least = make_event(type, MINIMAL[type])
    most = {**MINIMAL[type], **FULL.get(type, {})}
    assert make_event(type, dict.fromkeys(set(most) - set(MINIMAL[type])) | MINIMAL[type]) == least
    assert set(make_event(type, most).model_dump(exclude_none=True)) == set(most)


@pytest.mark.parametrize("type", TYPES)
def test_a_needed_field_that_is_missing_is_named(type: str) -> None:
    """Each of them, one at a time."""
    for name in MINIMAL[type]:
        data = {key: value for key, value in MINIMAL[type].items() if key != name}
        with pytest.raises(MalformedFact, match=rf"^{type}: data\.{name} is missing$"):
            make_event(type, data)


@pytest.mark.parametrize("type", TYPES)
def test_an_unknown_field_is_named_with_those_there_are(type: str) -> None:
    """Unknown data fields are an error, not ignored."""
    with pytest.raises(MalformedFact, match=r"data\.scor is unknown \(it") as refusal:
        make_event(type, {**MINIMAL[type], "scor": 1})
    for name in {**MINIMAL[type], **FULL.get(type, {})}:
        assert name in str(refusal.value)


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("ExamAttempted", {"exam": ""}, "data.exam should be text that is not empty, not ''"),
    ("ExamAttempted", {"exam": "A\n"}, r"data.exam should be text without control characters"),
    ("ExamAttempted", {"exam": 104}, "data.exam should be text, not 104"),
    ("ExamAttempted", {"delivery": "paper"}, "data.delivery should be live or beta, not 'paper'"),
    ("ExamAttempted", {"ended_at": "2021-03-01T09:00:00"}, "data.ended_at: '2021-03-01T09:00:00' is"
     " a time without a zone"),
    ("ExamAttempted", {"ended_at": 1614589200}, "data.ended_at should be an RFC 3339 instant"),
    ("ExamPassed", {"score": "700"}, "data.score should be a number, not '700'"),
    ("ExamPassed", {"score": True}, "data.score should be a number, not True"),
    ("ExamPassed", {"score": float("nan")}, "data.score should be a finite number, not nan"),
    ("ExamPassed", {"score": -float("inf")}, "data.score should be a finite number, not -inf"),
    ("ExamPassed", {"score": 10**309}, "data.score should be a number of at most 16 digits"),
    ("ExamPassed", {"score": 10**5000}, "16 digits, not a number of more than 1,000 digits"),
    ("ExamPassed", {"score": 1e16}, "data.score should be a number of at most 16 digits"),
    ("BetaRescored", {"passed": 1}, "data.passed should be true or false, not 1"),
    ("ExceptionGranted", {"waives": ["wait", "fee"]},
     "data.waives.1 should be wait, cap or passed"),
    ("AuthorizationGranted", {"sittings": 0}, "data.sittings should be a whole number from 1 to 1"),
    ("AuthorizationGranted", {"sittings": True}, "sittings should be a whole number from 1 to 1,0"),
    ("AuthorizationGranted", {"sittings": "3"}, "whole number from 1 to 1,000,000, not '3'"),
    ("AuthorizationGranted", {"sittings": 10**6 + 1}, "from 1 to 1,000,000, not 1000001"),
    ("ExceptionGranted", {"waives": "wait"}, "data.waives should be a list, not 'wait'"),
    ("CertEarned", {"exams": ["AZ-104", ""]}, "data.exams.1 should be text that is not empty"),
    ("EventAnnulled", {"annuls": {"source": "urn:vue"}}, "data.annuls.id is missing"),
    ("EventAnnulled", {"annuls": {"source": "a", "id": "b", "no": 1}}, "data.annuls.no is unknown"),
    ("ResultRevoked", {"reason": "x" * 10**6, "exam": 7 * [10**30]}, "…"),
]  # fmt: skip


@pytest.mark.parametrize(("type", "change", "words"), WRONG)
def test_a_wrong_value_is_shown_with_what_would_be_accepted(
    type: str, change: dict[str, Any], words: str
) -> None:
    """One sentence: which field, its value, what it should be."""
    with pytest.raises(MalformedFact) as refusal:
        make_event(type, {**MINIMAL[type], **change})
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize("blank", [" {}", "{} ", "{}\u00a0", "\u3000{}"])
@pytest.mark.parametrize("name", ["source", "id", "subject", "actor", "exam", "registration_id"])
def test_an_identifier_of_a_new_fact_has_no_blanks_at_its_ends(name: str, blank: str) -> None:
    """It would look like another one. A history that has it is laid out as it was recorded."""
    fact = with_code(name, blank)
    with pytest.raises(MalformedFact, match=f"{name} '.*' has blanks around it"):
        fact.row()
    fact.row(as_recorded=True)


@pytest.mark.parametrize("letter", [*"\u200b\u202e\ufeff\u2028\u034f\ufe0f\u3164"])
@pytest.mark.parametrize("name", ["source", "id", "subject", "actor", "exam", "registration_id"])
def test_an_identifier_of_a_new_fact_is_seen_whole(name: str, letter: str) -> None:
    """No character that is drawn as nothing: AZ-104 is one exam, however it was copied."""
    fact = with_code(name, f"{{}}{letter}x")
    with pytest.raises(MalformedFact, match=rf"{name} .* not seen \(U\+{ord(letter):04X}\)"):
        fact.row()
    fact.row(as_recorded=True)


@pytest.mark.parametrize("source", ["our feed", "urn:vue 2", "<urn:vue>", "urn:%2", "a|b", "a\\b"])
def test_the_source_of_a_new_fact_is_a_uri_reference(source: str) -> None:
    """Spec section 2. A history that has another is laid out as it was recorded."""
    fact = sample("ExamAttempted")._replace(source=source)
    with pytest.raises(MalformedFact, match=r"source '.*' is no URI reference such as urn:vue"):
        fact.row()
    fact.row(as_recorded=True)
    for sound in ("vue", "/feeds/2", "urn:vue:%2F", "https://vue.example/a?b=c#d", "urn:\u00e9"):
        assert fact._replace(source=sound).row().source == sound


def with_code(name: str, form: str) -> Fact:
    fact = sample("ExamAttempted")
    if name in Fact._fields:
        return fact._replace(**{name: form.format(getattr(fact, name))})
    return sample("ExamAttempted", **{name: form.format(getattr(fact.event, name))})


@pytest.mark.parametrize(
    ("type", "change"),
    [
        ("CertEarned", {"exams": ["AZ-104", "AZ-500 "]}),
        ("CertificationDefined", {"exams": ["AZ-104\u200b"]}),
        ("ExamAnnounced", {"policy": " general"}),
        ("AuthorizationRevoked", {"authorization_id": "A-1\u200b"}),
        ("ExceptionGranted", {"request_id": "Q-1\u200b"}),
    ],
)
def test_every_code_of_the_data_is_looked_at(type: str, change: dict[str, Any]) -> None:
    """Lists of them too."""
    with pytest.raises(MalformedFact, match=f"data.{next(iter(change))}"):
        sample(type, **change).row()


def test_an_annulment_names_what_is_there_whatever_its_letters() -> None:
    """So that what an old ledger holds can be annulled."""
    fact = sample("EventAnnulled", annuls={"source": "urn:vue ", "id": "\u200b"})
    fact._replace(subject="C-1001 ").row()


def test_letters_of_any_writing_are_identifiers() -> None:
    """Blanks within, accents, other alphabets, and what a later Unicode assigns."""
    for text in ("C 1", "Zoë", "日本-1", "\U0001faf9", "\ue000"):
        sample("ExamAttempted", id=text, registration_id=text).row()


def test_every_fault_is_told_at_once() -> None:
    """A row is mended in one go."""
    with pytest.raises(MalformedFact) as refusal:
        make_event("ExamPassed", {"registration_id": 3, "score": "x", "note": ""})
    assert str(refusal.value) == (
        "ExamPassed: data.exam is missing; data.registration_id should be text, not 3; "
        "data.score should be a number, not 'x'; "
        "data.note is unknown (its fields are exam, registration_id, score)"
    )


@pytest.mark.parametrize("value", [17, ["zoe@example.org"], {"ciphertext": "zoe@example.org"}])
def test_a_wrong_personal_value_is_never_shown(value: object) -> None:
    """The sentence goes into logs and rejects files: it names the field alone."""
    with pytest.raises(
        MalformedFact, match=r"data\.email should be text, or the cipher"
    ) as refusal:
        make_event("ExceptionRequested", {**MINIMAL["ExceptionRequested"], "email": value})
    assert "zoe" not in str(refusal.value)
    assert "17" not in str(refusal.value)


def test_an_unknown_type_is_answered_with_those_there_are() -> None:
    """So that a misspelt one is found."""
    with pytest.raises(MalformedFact, match=r"'ExamPased' is unknown: .*ExamPassed") as refusal:
        make_event("ExamPased", {})
    assert all(type in str(refusal.value) for type in TYPES)


def test_an_event_is_immutable() -> None:
    """A fact does not change once it is made."""
    passed = ExamPassed(exam="AZ-104", registration_id="R-77")
    with pytest.raises(ValidationError):
        passed.exam = "AZ-500"  # type: ignore[misc]
    assert hash(passed) == hash(ExamPassed(exam="AZ-104", registration_id="R-77"))


@pytest.mark.parametrize("event", EVENTS, ids=TYPES)
def test_a_topic_is_a_name_and_never_a_module(event: type[Any]) -> None:
    """Moving a class orphans no stored event, and a stored topic imports nothing."""
    assert event.topic == f"{event.type}:{event.version}"
    assert resolve_topic(event.topic) is event


# What the fold reads instead of JSON: exam, key, flag, until.
UNTIL = parse_instant("2021-03-01T10:41:07.25Z")
COLUMNS: list[tuple[str, dict[str, Any], tuple[object, ...]]] = [
    ("ExamAttempted", {}, ("AZ-104", "R-77", 0, None)),
    ("ExamAttempted", FULL["ExamAttempted"], ("AZ-104", "R-77", 1, UNTIL)),
    ("ExamPassed", {"score": 700}, ("AZ-104", "R-77", None, None)),
    ("ExamFailed", {}, ("AZ-104", "R-77", None, None)),
    ("BetaRescored", {"passed": False}, ("AZ-104", "R-77", 0, None)),
    ("BetaRescored", {"passed": True}, ("AZ-104", "R-77", 1, None)),
    ("ResultRevoked", {}, ("AZ-104", "R-77", None, None)),
    ("SittingMissed", {"reason": "no-show"}, ("AZ-104", "R-77", None, None)),
    ("AuthorizationGranted", {}, ("AZ-104", "A-1", None, None)),
    ("AuthorizationGranted", FULL["AuthorizationGranted"],
     ("AZ-104", "A-1", 3, parse_instant("2022-03-01T00:00:00Z"))),
    ("AuthorizationRevoked", {}, ("AZ-104", "A-1", None, None)),
    ("ExceptionRequested", {}, ("AZ-104", "Q-1", None, None)),
    ("ExceptionRejected", {}, ("AZ-104", "Q-1", None, None)),
    ("ExceptionGranted", {"waives": []}, ("AZ-104", "Q-1", 0, None)),
    ("ExceptionGranted", {"waives": ["wait"]}, ("AZ-104", "Q-1", 1, None)),
    ("ExceptionGranted", {"waives": ["cap"]}, ("AZ-104", "Q-1", 2, None)),
    ("ExceptionGranted", {"waives": ["passed"]}, ("AZ-104", "Q-1", 4, None)),
    ("ExceptionGranted", FULL["ExceptionGranted"],
     ("AZ-104", "Q-1", 7, parse_instant("2021-06-01T00:00:00Z"))),
    ("ExceptionRevoked", {}, ("AZ-104", "Q-1", None, None)),
    ("CertEarned", {}, (None, "azure-administrator-associate", None, None)),
    ("CertRenewed", {"expires_at": "2024-03-01T00:00:00Z"},
     (None, "azure-administrator-associate", None, parse_instant("2024-03-01T00:00:00Z"))),
    ("CertExpired", {}, (None, "azure-administrator-associate", None, None)),
    ("CandidateForgotten", {}, (None, None, None, None)),
    ("EventAnnulled", {}, (None, None, None, None)),
    ("ExamAnnounced", {}, ("AZ-104", None, None, None)),
    ("ExamWentLive", {}, ("AZ-104", None, None, None)),
    ("ExamRetired", {}, ("AZ-104", None, None, None)),
    ("CertificationDefined", {}, (None, "azure-administrator-associate", None, None)),
    ("PolicyPublished", {}, (None, None, None, None)),
]  # fmt: skip


@pytest.mark.parametrize(("type", "changes", "columns"), COLUMNS)
def test_columns_are_lifted_out_of_the_data(
    type: str, changes: dict[str, Any], columns: tuple[object, ...]
) -> None:
    """So that neither the fold nor Arrow ever parses JSON."""
    row = sample(type, **changes).row()
    assert (row.exam, row.key, row.flag, row.until) == columns
    assert row.annuls is None


def test_every_type_has_its_columns_tested() -> None:
    """None was forgotten in the table above."""
    assert {type for type, _, _ in COLUMNS} == set(TYPES)


@pytest.mark.parametrize(
    ("type", "stream"),
    [
        ("ExamAttempted", "candidate/C-1001"),
        ("EventAnnulled", "any/C-1001"),  # found when it is appended
        ("ExamAnnounced", "exam/AZ-104"),
        ("CertificationDefined", "certification/azure-administrator-associate"),
        ("PolicyPublished", "policy/general"),
    ],
)
def test_the_subject_names_the_stream(type: str, stream: str) -> None:
    """One stream for each candidate, exam, certification and policy."""
    assert sample(type).stream == sample(type).row().stream == stream


ENVELOPES: list[tuple[dict[str, Any], str]] = [
    ({"source": ""}, "source is empty"),
    ({"id": ""}, "id is empty"),
    ({"subject": ""}, "subject is empty"),
    ({"actor": ""}, "actor is empty"),
    ({"id": "a\x00b"}, r"id 'a\x00b' holds a control character"),
    ({"source": "urn:\n"}, r"source 'urn:\n' holds a control character"),
    ({"subject": "\ud800"}, r"subject '\ud800' holds a control character"),
    ({"time": MAX_INSTANT + 1}, "lies outside the years 1 to 9999"),
]


@pytest.mark.parametrize(("change", "words"), ENVELOPES)
def test_an_unsound_envelope_is_refused(change: dict[str, Any], words: str) -> None:
    """Empty text and control characters name nothing."""
    with pytest.raises(MalformedFact) as refusal:
        sample("ExamPassed")._replace(**change).row()
    assert words in str(refusal.value)


def test_spaces_and_letters_of_any_script_are_sound() -> None:
    """A no-break space is not `printable` to Python, but it is no control character either."""
    fact = sample("ExamPassed")._replace(subject="Zoë\u00a0O’Neill 日本")
    assert fact.row().stream == "candidate/Zoë\u00a0O’Neill 日本"


def test_instants_may_be_given_as_microseconds_in_python() -> None:
    """Inside they are whole numbers; only the wire has text."""
    event = ExamAttempted(exam="A", registration_id="R", delivery="live", ended_at=NINE)
    assert event.to_json().endswith('"ended_at":"2021-03-01T09:00:00Z"}')
    with pytest.raises(ValidationError, match="years 1 to 9999"):
        ExamAttempted(exam="A", registration_id="R", delivery="live", ended_at=MAX_INSTANT + 1)


def test_absent_fields_are_not_written() -> None:
    """And null is absent: certifications that never end say nothing of their end."""
    fact = Fact("urn:vue", "a", "C-1", NINE, make_event("CertEarned", {
        "certification": "x", "expires_at": None}))  # fmt: skip
    assert fact.row().data == '{"certification":"x"}'


def test_an_annulment_names_another_event() -> None:
    """By its idempotency key."""
    event = sample("EventAnnulled").event
    assert isinstance(event, EventAnnulled)
    assert (event.annuls.source, event.annuls.id) == ("urn:vue", "R-77/result")


@pytest.mark.parametrize("data", ['{"exam": ', "", None, b"\xff"])
def test_a_row_whose_data_was_damaged_is_said(data: Any) -> None:
    """With its position, by whatever reads it; nothing is made of it."""
    row = Recorded(7, NINE, NINE, "ExamPassed:1", "candidate/C-1", "urn:a", "1", *[None] * 6, data)
    for read in (row.payload, row.stored, lambda: fact_of(row)):
        with pytest.raises(LedgerProblem, match="position 7 does not read, its data is damaged"):
            read()


@pytest.mark.parametrize(
    ("type", "name", "soonest"),
    [
        ("ExamAttempted", "ended_at", 0),
        ("AuthorizationGranted", "valid_until", 1),
        ("ExceptionGranted", "valid_until", 1),
        ("CertEarned", "expires_at", 1),
        ("CertRenewed", "expires_at", 1),
    ],
)
def test_nothing_ends_before_it_begins(type: str, name: str, soonest: int) -> None:
    """A sitting may end as it begins; a history that is moved in is kept as it was recorded."""

    def ends(after: int) -> Fact:
        return sample(type, **{name: format_instant(NINE + after)})

    assert ends(soonest).row().until == NINE + soonest
    bound = "not lie before the start" if soonest == 0 else "lie after the time"
    with pytest.raises(MalformedFact, match=f"{type}: data.{name} .* should {bound} of the "):
        ends(soonest - 1).row()
    assert ends(-DAY).row(as_recorded=True).until == NINE - DAY
