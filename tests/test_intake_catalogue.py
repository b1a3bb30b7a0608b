"""A catalogue file says how things are; what it adds to a ledger is what has changed."""

from __future__ import annotations

import pytest
from intake_folder import NOW, Place
from ledger_facts import exported

from ledger.instants import DAY, format_instant, parse_instant
from ledger.intake.catalogue import Catalogued, CatalogueProblem, catalogue_facts, policy_facts

AZ = """\
[[exam]]
code = "AZ-104"
title = "Microsoft Azure Administrator"
policy = "general"
beta_opens_at = 2020-03-02T00:00:00Z
live_at = 2020-04-07
"""
CERT = """\
[[certification]]
id = "azure-administrator"
title = "Azure Administrator Associate"
exams = ["AZ-104"]
"""
GENERAL = """\
id = "general"
title = "Rules"
effective_from = 2021-01-01T00:00:00Z
"""


def checked(text: str, where: str) -> str:
    """Stand in for the policies: an id is the first line's value."""
    if "bad" in text:
        raise CatalogueProblem([f"{where}: this is bad", f"{where}: that is bad"])
    return text.split('"')[1]


def said(place: Place, text: str, *, now: int = NOW) -> Catalogued:
    file = place.folder / "catalogue.toml"
    file.write_text(text, encoding="utf-8")
    return catalogue_facts(file, known=place.ledger.stream, now=now, check=checked, actor="cli")


def added(place: Place, text: str, *, now: int = NOW) -> list[str]:
    """Append what a catalogue adds; return the ids."""
    catalogued = said(place, text, now=now)
    place.ledger.append(catalogued.facts)
    return [fact.id for fact in catalogued.facts]


def test_entries_become_events(place: Place) -> None:
    """Source, ids, subjects, times and data are as spec section 6 says; a date is 00:00 UTC."""
    (place.folder / "rules.toml").write_text(GENERAL)
    policy = '[[policy]]\nfile = "rules.toml"\n'
    assert added(place, f"{AZ}{CERT}{policy}") == [
        "exam/AZ-104/1",
        "certification/azure-administrator/1",
        "policy/general/1",
    ]
    rows = list(place.ledger.read())
    assert {(row.source, row.actor) for row in rows} == {("urn:attempt-ledger:catalogue", "cli")}
    assert [row.stream for row in rows] == [
        "exam/AZ-104",
        "certification/azure-administrator",
        "policy/general",
    ]
    assert [(row.type, row.occurred_at, row.payload()) for row in rows] == [
        (
            "ExamAnnounced",
            NOW,
            {
                "title": "Microsoft Azure Administrator",
                "policy": "general",
                "beta_opens_at": "2020-03-02T00:00:00Z",
                "live_at": "2020-04-07T00:00:00Z",
            },
        ),
        (
            "CertificationDefined",
            NOW,
            {"title": "Azure Administrator Associate", "exams": ["AZ-104"]},
        ),
        ("PolicyPublished", NOW, {"toml": GENERAL}),
    ]


def test_an_entry_holds_from_its_time_on(place: Place) -> None:
    """`time` is when the entry is true; without one it is now."""
    added(place, AZ + "time = 2020-01-01T00:00:00+01:00\n")
    (row,) = place.ledger.read()
    assert format_instant(row.occurred_at) == "2019-12-31T23:00:00Z"


# -- the same again, and something else

RETIRED = AZ + "retires_at = 2023-01-01T00:00:00Z\n"


def test_nothing_changed_adds_nothing(place: Place) -> None:
    """Whenever it is read again, in whatever order its entries stand."""
    added(place, AZ + CERT)
    before = exported(place.ledger)
    assert said(place, CERT + AZ, now=NOW + DAY).unchanged == 2
    assert added(place, CERT + AZ) == []
    assert exported(place.ledger) == before


def test_a_change_adds_one_and_going_back_another(place: Place) -> None:
    """Ids are counted up."""
    assert added(place, AZ) == ["exam/AZ-104/1"]
    assert added(place, RETIRED) == ["exam/AZ-104/2"]
    assert added(place, RETIRED) == []
    assert added(place, AZ) == ["exam/AZ-104/3"]
    assert added(place, AZ) == []


def test_dated_entries_of_one_exam_are_each_said_once(place: Place) -> None:
    """Moving an exam to other rules from a day on leaves the earlier entry in the file."""
    moved = AZ.replace("general", "mos") + "time = 2021-02-01T00:00:00Z\n"
    both = AZ + "time = 2020-01-01T00:00:00Z\n" + moved
    assert added(place, both) == ["exam/AZ-104/1", "exam/AZ-104/2"]
    assert added(place, both) == []
    assert added(place, moved) == []
    assert added(place, both.replace("2020-01-01", "2019-01-01")) == ["exam/AZ-104/3"]


def test_an_entry_that_is_what_holds_at_its_time_adds_nothing(place: Place) -> None:
    """It would change no answer."""
    added(place, AZ + "time = 2020-01-01T00:00:00Z\n")
    assert added(place, AZ + "time = 2020-06-01T00:00:00Z\n") == []
    assert added(place, AZ) == []


def test_an_annulled_entry_does_not_hold_but_keeps_its_id(place: Place) -> None:
    """It is said anew, under the next id."""
    added(place, AZ)
    place.take(
        '{"specversion":"1.0","type":"EventAnnulled","source":"desk","id":"1","subject":"AZ-104",'
        '"time":"2021-05-01T00:00:00Z","data":{"reason":"wrong","annuls":'
        '{"source":"urn:attempt-ledger:catalogue","id":"exam/AZ-104/1"}}}',
        "a.jsonl",
    )
    assert added(place, AZ) == ["exam/AZ-104/2"]
    assert added(place, AZ) == []


def test_an_entry_of_another_source_counts_as_known(place: Place) -> None:
    """What another feed announced is not announced again."""
    place.take(
        '{"specversion":"1.0","type":"ExamAnnounced","source":"urn:feed","id":"exam/AZ-104/7",'
        '"subject":"AZ-104","time":"2020-01-01T00:00:00Z",'
        '"data":{"title":"Microsoft Azure Administrator","policy":"general",'
        '"beta_opens_at":"2020-03-02T01:00:00+01:00","live_at":"2020-04-07T00:00:00Z"}}',
        "a.jsonl",
    )
    assert added(place, AZ) == []
    assert added(place, RETIRED) == ["exam/AZ-104/1"]


def test_versions_of_a_policy_stand_side_by_side(place: Place) -> None:
    """A text is compared with the latest of the same effective_from."""
    later = GENERAL.replace("2021", "2022")
    for name, text in {"a": GENERAL, "b": later}.items():
        (place.folder / f"{name}.toml").write_text(text)
    both = '[[policy]]\nfile = "a.toml"\n[[policy]]\nfile = "b.toml"\n'
    assert added(place, both) == ["policy/general/1", "policy/general/2"]
    assert added(place, both) == []
    (place.folder / "a.toml").write_text(GENERAL.replace("Rules", "The rules"))
    assert added(place, both) == ["policy/general/3"]
    (place.folder / "a.toml").write_text(GENERAL)
    assert added(place, both) == ["policy/general/4"]


def test_policies_alone_are_published_the_same_way(place: Place) -> None:
    """As init and `policy publish` do."""
    facts = policy_facts([("general", GENERAL)], known=place.ledger.stream, now=NOW).facts
    assert [fact.id for fact in facts] == ["policy/general/1"]
    place.ledger.append(facts)
    again = policy_facts([("general", GENERAL)], known=place.ledger.stream, now=NOW)
    assert again == Catalogued([], unchanged=1)


# -- what a file may not say

BAD = {
    "an unknown section": (
        "[[exams]]\n",
        "exams is no section of a catalogue: accepted are [[exam]]",
    ),
    "a table for a list": ('[exam]\ncode = "A"\n', "exam should be written [[exam]]"),
    "a key of its own": (
        AZ + "seats = 3\n",
        "[[exam]] AZ-104: seats is no key of it: accepted are code, title, policy, beta_opens_at",
    ),
    "no title": (AZ.replace("title", "#"), "[[exam]] AZ-104: title is missing: it should be text"),
    "no code": (AZ.replace("code", "#"), "[[exam]] no. 1: code is missing"),
    "an empty title": (
        AZ.replace("Microsoft Azure Administrator", " "),
        "[[exam]] AZ-104: title should be text that is not empty, not ' '",
    ),
    "a code with blanks": (
        AZ.replace("AZ-104", " AZ-104"),
        "code should be text without blanks around it, not ' AZ-104'",
    ),
    "a naive time": (
        AZ + "time = 2020-01-01T00:00:00\n",
        "time should be a date-time such as 2020-04-07T00:00:00Z, or a date, not "
        "2020-01-01T00:00:00, which has no offset",
    ),
    "a date in quotes": (
        AZ.replace("2020-04-07", '"2020-04-07"'),
        "live_at should be a date-time such as 2020-04-07T00:00:00Z, or a date, not '2020-04-07'",
    ),
    "a date finer than a microsecond": (
        AZ + "time = 2020-01-01T00:00:00.0000001Z\n",
        "line 7: time is finer than a microsecond: give at most six decimals",
    ),
    "a time in the future": (
        AZ + "time = 2021-06-01T00:05:00.000001Z\n",
        "time 2021-06-01T00:05:00.000001Z lies in the future",
    ),
    "exams that are no list": (
        CERT.replace('["AZ-104"]', '"AZ-104"'),
        "[[certification]] azure-administrator: exams should be a list of exam codes",
    ),
    "an exam that is no code": (CERT.replace('"AZ-104"', "104"), "exams should be a list of"),
    "an exam said twice": (AZ + AZ, "[[exam]] AZ-104 is there twice: give each the `time`"),
    "a policy file that is not there": (
        '[[policy]]\nfile = "none.toml"\n',
        "[[policy]] none.toml: file = 'none.toml' cannot be read: No such file or directory",
    ),
    "no TOML": ("[[exam\n", "is not TOML: "),
}


@pytest.mark.parametrize(("text", "sentence"), BAD.values(), ids=BAD)
def test_a_bad_file_is_refused_with_its_key(place: Place, text: str, sentence: str) -> None:
    """One sentence: the file, the entry, the key, and what would be accepted."""
    with pytest.raises(CatalogueProblem) as problem:
        said(place, text)
    (only,) = problem.value.problems
    assert only.startswith(str(place.folder / "catalogue.toml"))
    assert sentence in only


def test_every_fault_of_a_file_is_told_at_once(place: Place) -> None:
    """A sentence each, so that it is mended in one go."""
    with pytest.raises(CatalogueProblem) as problem:
        said(place, AZ.replace("title", "titel") + CERT.replace("id =", "code ="))
    assert len(problem.value.problems) == 4


def test_every_fault_of_a_policy_file_is_told_with_the_catalogues_entry(place: Place) -> None:
    """The policy's own sentences follow the entry that names its file."""
    (place.folder / "rules.toml").write_text("bad")
    (place.folder / "latin.toml").write_bytes(b"# caf\xe9")
    with pytest.raises(CatalogueProblem) as problem:
        said(place, '[[policy]]\nfile = "rules.toml"\n[[policy]]\nfile = "latin.toml"\n')
    this, that, latin = problem.value.problems
    assert this.endswith(f"[[policy]] rules.toml: {place.folder / 'rules.toml'}: this is bad")
    assert that.endswith("that is bad")
    assert latin.endswith("is not UTF-8: byte 0xE9 at offset 5; save it as UTF-8")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"# caf\xe9", "is not UTF-8: byte 0xE9 at offset 5"), (None, "cannot be read: No such file")],
)
def test_a_file_that_cannot_be_read_is_one_sentence(
    place: Place, content: bytes | None, sentence: str
) -> None:
    """Missing, a folder, or not text."""
    file = place.folder / "catalogue.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CatalogueProblem, match=sentence):
        catalogue_facts(file, known=place.ledger.stream, now=NOW, check=checked)
    with pytest.raises(CatalogueProblem, match="is a folder"):
        catalogue_facts(place.folder, known=place.ledger.stream, now=NOW, check=checked)


def test_a_byte_order_mark_and_an_empty_file_are_no_faults(place: Place) -> None:
    """As editors write them."""
    assert said(place, "\ufeff" + AZ).facts
    assert said(place, "") == Catalogued()


def test_the_time_of_an_entry_may_be_a_little_ahead(place: Place) -> None:
    """As far as any fact's (spec section 2)."""
    assert added(place, AZ + "time = 2021-06-01T00:05:00Z\n") == ["exam/AZ-104/1"]
    assert parse_instant("2021-06-01T00:05:00Z") == NOW + 300_000_000
