"""The whole ledger against a model of it: whatever is done in whatever order, both say the same.

`model_ledger.py` is the model, `model_life.py` the ledger beside it. A few lives here; with
``--hypothesis-profile deep`` many long ones.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from example_ledger import bound, dicts, one_by_one
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from ledger_facts import SetClock
from model_ledger import DUPLICATE, NEW, Model, Outcome
from model_life import Crash, Elsewhere, Life
from plain_reading import Reading, boundaries
from plain_values import at, rows_of
from read_models import KERNELS
from scenarios import SHIPPED
from test_cases import assert_reads

from attempt_ledger.doctor.keys import keys_of
from ledger.backup.backup import CopyOptions, back_up
from ledger.backup.restore import Kept, finish, restore
from ledger.backup.staging import drafting
from ledger.cloudevents import parse_line, to_cloudevents
from ledger.events import Recorded
from ledger.facts import Fact
from ledger.ledger import Ledger
from ledger.models import make_event
from ledger.privacy.erasure import (
    NothingRecorded,
    certificate,
    destroy_again,
    forget,
    forget_again,
    forgotten_elsewhere,
)
from ledger.privacy.vault import Keyring
from ledger.problems import Stale
from ledger.tlog.checkpoint import last_signed
from ledger.tlog.note import last_signed_path
from ledger.tlog.proof import prove_event
from ledger.tlog.verify import verify
from ledger.tlog.verify_proof import check_proof, open_checkpoint
from projections.standing import Moment
from replay.read_model.build import Options
from replay.read_model.follow import keeper
from replay.read_model.rebuild import check
from replay.snapshot import Snapshot

BEGIN = at("2021-03-01T09:00:00Z")
HOUR = 3_600_000_000
DAY = 24 * HOUR
PEOPLE = ("C-1", "C-2", "C-3")
EXAMS = ("X", "Y")
IN_MEMORY = next((path for path in ("/dev/shm",) if os.access(path, os.W_OK)), None)
"""Where a folder lies in memory, if anywhere: nothing here is about power cuts."""
WAYS = Options(lambda events: KERNELS)

# -- facts, so few that they often meet: the same again, or another under the same id


times = st.integers(0, 40).map(lambda n: BEGIN + n * 12 * HOUR) | st.just(BEGIN + 60 * DAY)


def fact_of(type: str, subject: str, id: str, time: int, **data: Any) -> Fact:
    """Make a fact; what is None is left out."""
    given = {name: value for name, value in data.items() if value is not None}
    return Fact("urn:m", id, subject, time, make_event(type, given), "model")


@st.composite
def sittings(draw: st.DrawFn) -> Fact:
    """Draw something said of a sitting."""
    who, number = draw(st.sampled_from(PEOPLE)), draw(st.integers(1, 3))
    type = draw(st.sampled_from(
        ("ExamAttempted", "ExamAttempted", "ExamFailed", "ExamPassed", "BetaRescored",
         "ResultRevoked")
    ))  # fmt: skip
    about = {"exam": draw(st.sampled_from(EXAMS)), "registration_id": f"R-{number}"}
    if type == "ExamAttempted":
        about["delivery"] = draw(st.sampled_from(("live", "live", "beta")))
    elif type == "BetaRescored":
        return fact_of(type, who, f"{who}/{number}/{type}", draw(times), passed=True, **about)
    elif type == "ResultRevoked":
        about["reason"] = "seen twice"
    else:
        score = draw(st.sampled_from((None, 600)))
        return fact_of(type, who, f"{who}/{number}/result", draw(times), score=score, **about)
    return fact_of(type, who, f"{who}/{number}/{type}", draw(times), **about)


@st.composite
def others(draw: st.DrawFn) -> Fact:
    """Draw something else said of a candidate: requests with personal fields, grants, the rest."""
    who, number = draw(st.sampled_from(PEOPLE)), draw(st.integers(1, 2))
    type = draw(st.sampled_from(
        ("ExceptionRequested", "ExceptionRequested", "ExceptionGranted", "CertEarned",
         "CandidateForgotten")
    ))  # fmt: skip
    id, time = f"{who}/{number}/{type}", draw(times)
    if type == "ExceptionRequested":
        return fact_of(
            type, who, id, time, request_id=f"Q-{number}", exam="X", registration_id="R-1",
            reason="lab-crash", first_name=draw(st.sampled_from((None, "Ada", "Bo"))),
            email=draw(st.sampled_from((None, "ada@example.org"))),
        )  # fmt: skip
    if type == "ExceptionGranted":
        return fact_of(type, who, id, time, request_id=f"Q-{number}", exam="X", waives=["wait"])
    if type == "CertEarned":
        return fact_of(type, who, id, time, certification="CERT", exams=["X"])
    return fact_of(type, who, id, time)


@st.composite
def entries(draw: st.DrawFn) -> Fact:
    """Draw a catalogue entry."""
    exam, number = draw(st.sampled_from(EXAMS)), draw(st.integers(1, 3))
    if draw(st.booleans()):
        return fact_of("ExamWentLive", exam, f"{exam}/live/{number}", draw(times))
    policy = draw(st.sampled_from(("general", "mos", "nobody's")))
    return fact_of(
        "ExamAnnounced", exam, f"{exam}/{number}", draw(times), title=exam, policy=policy
    )


@st.composite
def annulments(draw: st.DrawFn) -> Fact:
    """Draw an annulment: mostly of what may be there, sometimes of another's, or of nothing."""
    who, number = draw(st.sampled_from(PEOPLE)), draw(st.integers(1, 2))
    of = draw(st.sampled_from((f"{who}/{number}/ExamAttempted", f"{who}/{number}/result",
                               f"C-1/{number}/CandidateForgotten", f"annul/{who}/1",
                               f"{who}/1/ExceptionRequested")))  # fmt: skip
    return fact_of(
        "EventAnnulled", who, f"annul/{who}/{number}", draw(times), reason="in error",
        annuls={"source": "urn:m", "id": of},
    )  # fmt: skip


@st.composite
def whole_sittings(draw: st.DrawFn) -> list[Fact]:
    """Draw a sitting with its result, as a feed gives it."""
    who, number = draw(st.sampled_from(PEOPLE)), draw(st.integers(4, 9))
    exam = draw(st.sampled_from(EXAMS))
    about, time = {"exam": exam, "registration_id": f"R-{number}"}, draw(times)
    result = draw(st.sampled_from(("ExamFailed", "ExamFailed", "ExamPassed")))
    return [
        fact_of("ExamAttempted", who, f"{who}/{number}/begun", time, delivery="live", **about),
        fact_of(result, who, f"{who}/{number}/result", time, **about),
    ]


facts = st.one_of(sittings(), sittings(), others(), others(), entries(), annulments())
batches = st.lists(facts, min_size=1, max_size=6)
elsewhere = Elsewhere()


@pytest.fixture(autouse=True, scope="module")
def _elsewhere() -> Any:
    yield
    elsewhere.close()


class Lives(RuleBasedStateMachine):
    """What may happen to a ledger."""

    life: Life

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="model-", dir=IN_MEMORY))
        self.life = Life(self.folder, BEGIN + 30 * DAY)
        self.second: Ledger | None = None
        """The same ledger, opened once more in this process, for reading."""
        self.followed = 0
        """How far a reader has come who resumes by position."""
        self.checkpoints: list[bytes] = []
        """What outsiders were given."""
        self.proofs: list[tuple[int, bytes]] = []
        self.half_sealed = False
        """A crash came while it was sealed, and it was not sealed since."""
        self.answers: list[tuple[str, str, Moment, str]] = []
        """What was answered, to which question."""
        self.backups: list[Path] = []
        self.old_keys: Path | None = None
        self.backup_heads: dict[Path, int] = {}

    @property
    def model(self) -> Model:
        return self.life.model

    @property
    def ledger(self) -> Ledger:
        return self.life.ledger

    def teardown(self) -> None:
        """Leave nothing behind."""
        self.let_go()
        self.life.close()
        shutil.rmtree(self.folder)

    def let_go(self) -> None:
        """Close what else is open."""
        if self.second is not None:
            self.second.close()
            self.second = None

    @initialize()
    def begin(self) -> None:
        """Publish the policies and announce the exams."""
        told = [each for line in SHIPPED for each in line.facts]
        told += [fact_of("ExamAnnounced", exam, f"{exam}/1", BEGIN, title=exam, policy="general")
                 for exam in EXAMS]  # fmt: skip
        self.append(told)

    # -- appending

    @rule(facts=batches)
    def append(self, facts: Sequence[Fact]) -> None:
        """Append some in one transaction."""
        expected = self.model.append(facts, self.life.clock.now)
        self.life.agree(self.ledger.append(facts), expected)

    @rule(sat=st.lists(whole_sittings(), min_size=1, max_size=3))
    def sit(self, sat: list[list[Fact]]) -> None:
        """Append whole sittings."""
        self.append([fact for each in sat for fact in each])

    @rule(facts=st.lists(entries(), min_size=1, max_size=2))
    def change_the_catalogue(self, facts: Sequence[Fact]) -> None:
        """Append entries of the catalogue."""
        self.append(facts)

    @rule(facts=batches, steps=st.lists(st.integers(-1, 3), min_size=6, max_size=6))
    def append_kept(self, facts: Sequence[Fact], steps: list[int]) -> None:
        """Append some with a recorded_at of their own, which may fall or lie ahead."""
        recorded_at, kept = self.model.last or BEGIN, []
        for fact, step in zip(facts, steps, strict=False):
            recorded_at += step * HOUR
            kept.append(fact._replace(recorded_at=recorded_at))
        expected = self.model.append_kept(kept, self.life.clock.now)
        self.life.agree(self.ledger.append(kept, keep_recorded_at=True), expected)

    @rule(facts=batches)
    def append_elsewhere(self, facts: Sequence[Fact]) -> None:
        """Append in another process, which opens the ledger and closes it again."""
        expected = self.model.append(facts, self.life.clock.now)
        self.life.agree(elsewhere.append(self.life, facts) or [], expected)

    @rule()
    def export_and_import(self) -> None:
        """Take in again what was given out, personal fields as ciphertext: all of it is there."""
        lines = [parse_line(line) for line in to_cloudevents(self.ledger.read())]
        self.life.agree(self.ledger.append(lines), [
            Outcome(DUPLICATE, position) for position in range(1, self.model.head + 1)
        ])  # fmt: skip

    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """Append again what is there: nothing is added, not even for the forgotten."""
        some = data.draw(st.lists(st.sampled_from(self.model.rows), max_size=4))
        expected = self.model.append([row.fact for row in some], self.life.clock.now)
        assert NEW not in {outcome.what for outcome in expected}
        self.life.agree(self.ledger.append([row.fact for row in some]), expected)

    @rule(by=st.sampled_from((0, 1, HOUR, DAY, 5 * DAY, 90 * DAY, -2 * DAY)))
    def let_time_pass(self, by: int) -> None:
        """Let time pass, or set the clock back."""
        self.life.clock.now += by

    # -- crashes

    @rule(facts=batches, kind=st.sampled_from(("before", "after", "torn")))
    def crash(self, facts: Sequence[Fact], kind: str) -> None:
        """Stop with everything open: what was acknowledged is there, and nothing of the rest.

        In the middle of a transaction, of which some is in the write-ahead log already; after its
        commit; or while the end of the log was written, of which nothing was acknowledged.
        """

        def crash() -> None:
            if kind == "before":
                with self.ledger.appending() as appending:
                    writer = self.ledger.store._writer
                    assert writer is not None
                    writer.execute("PRAGMA cache_size = 1")  # what does not fit there is written
                    appending.take([fact.row() for fact in facts])
                    raise Crash(self.life.image())
            self.append(facts)
            image = self.life.image()
            if kind == "torn":
                with (image / "a.ledger-wal").open("ab") as log:
                    log.write(bytes(range(256)) * (len(facts) * 7) + b"torn")
            raise Crash(image)

        self.crashed(crash)

    def crashed(self, crash: Callable[[], None]) -> None:
        """Go on from what a crash left."""
        self.let_go()
        with self.life.crashing():
            crash()

    @rule(facts=batches, when=st.sampled_from(("before", "after")))
    @precondition(lambda self: self.rarely())
    def die_elsewhere(self, facts: Sequence[Fact], when: str) -> None:
        """Kill another process over an append: none of it is there, or all of it, as may be."""
        if when == "after":
            self.model.append(facts, self.life.clock.now)
        assert elsewhere.append(self.life, facts, die=when) is None

    def rarely(self) -> bool:
        """Return whether something dear may be done: about every second time."""
        return self.model.head % 2 == 1

    @rule(again=st.booleans())
    def reopen(self, again: bool) -> None:
        """Close the ledger and open it; or open it once more beside."""
        if again:
            self.let_go()
            self.second = Ledger.open(self.life.path, clock=SetClock(), read_only=True)
        else:
            self.life.reopen()

    # -- erasure

    @rule(who=st.sampled_from((*PEOPLE, "nobody")))
    @precondition(lambda self: self.rarely())
    def forget(self, who: str) -> None:
        """Forget a candidate; a second time changes nothing."""
        known = any(row.stream == f"candidate/{who}" for row in self.model.rows)
        if not known and who not in self.model.without_key:
            with pytest.raises(NothingRecorded):
                self.forgotten(who)
            return
        already = who in self.model.forgotten()
        found = self.forgotten(who)
        assert found.already == already
        if not already:
            self.said_forgotten(who)
        assert self.model.rows[found.position - 1].fact.subject == who

    def forgotten(self, who: str) -> Any:
        """Forget, now."""
        return forget(self.ledger, who, reason="asked", actor=None, time=self.life.clock.now)

    def said_forgotten(self, who: str) -> None:
        """Let the model say so too."""
        fact = Fact("urn:attempt-ledger:erasure", who, who, self.life.clock.now,
                    make_event("CandidateForgotten", {}))  # fmt: skip
        (outcome,) = self.model.append([fact], self.life.clock.now)
        assert outcome.what == NEW
        self.key_destroyed(who)

    def key_destroyed(self, who: str) -> None:
        """Let the model know that a key file says so."""
        self.model.has_keys = True
        self.model.without_key.add(who)

    @rule(who=st.sampled_from(PEOPLE))
    @precondition(lambda self: self.rarely())
    def crash_between_key_and_event(self, who: str) -> None:
        """Stop when the key is destroyed and the event not committed; it may be completed later."""
        known = any(row.stream == f"candidate/{who}" for row in self.model.rows)
        if not known or who in self.model.forgotten():
            return
        commit = Keyring.commit

        def crash() -> None:
            def committed(keyring: Keyring) -> None:
                commit(keyring)
                raise Crash(self.life.image())

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Keyring, "commit", committed)
                self.forgotten(who)

        self.crashed(crash)
        self.key_destroyed(who)
        assert who in forgotten_elsewhere(self.ledger)

    @rule(keep=st.booleans())
    def keep_keys(self, keep: bool) -> None:
        """Keep a copy of the key file, against all advice; or put it back, and see to the rest."""
        if keep and self.life.keys.exists():
            self.old_keys = self.folder / "old.keys"
            shutil.copy(self.life.keys, self.old_keys)
        elif not keep and self.old_keys is not None:
            self.put_keys_back(self.old_keys)

    def put_keys_back(self, old: Path) -> None:
        """Put an old key file in the place of the one there is, and do again what it undid."""
        asked = {row.fact.subject for row in self.model.rows
                 if row.fact.event.type == "ExceptionRequested"}  # fmt: skip
        if asked - self.named_in(old):
            return  # keys are missing from it: then personal fields are lost, and we look no more
        self.let_go()
        self.life.close()
        shutil.copy(old, self.life.keys)
        self.life.reopen()
        destroy_again(self.ledger)
        # Of whom the ledger does not say it, the keys alone knew; these are older.
        self.model.without_key = self.model.forgotten() | set(forgotten_elsewhere(self.ledger))

    def named_in(self, keys: Path) -> set[str]:
        """Name everybody in a key file, with a key or without."""
        import sqlite3
        from contextlib import closing

        with closing(sqlite3.connect(f"file:{keys}?mode=ro", uri=True)) as connection:
            return {name for (name,) in connection.execute("SELECT candidate FROM keys")}

    @rule()
    @precondition(lambda self: self.model.without_key - self.model.forgotten())
    def complete(self) -> None:
        """Let the ledger say of everybody whose key was destroyed that it was."""
        for who in forgotten_elsewhere(self.ledger):
            self.said_forgotten(who)
        forget_again(self.ledger, actor=None, time=self.life.clock.now)
        assert forgotten_elsewhere(self.ledger) == ()

    # -- the log

    @rule()
    def seal(self) -> None:
        """Seal everything, and give the checkpoint away."""
        assert self.life.seal() == self.model.head
        self.half_sealed = False
        self.checkpoints.append(self.life.place.checkpoint.read_bytes())

    @rule(steps=st.integers(0, 5))
    def crash_while_sealing(self, steps: int) -> None:
        """Stop before one of the files of a sealing is there: the next one goes on from that."""
        left = iter(range(steps))
        rename = os.replace

        def crash() -> None:
            def renamed(*names: Any) -> None:
                if next(left, None) is None:
                    raise Crash(self.life.image())
                rename(*names)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(os, "replace", renamed)
                self.life.seal()
            raise Crash(self.life.image())

        self.crashed(crash)
        self.half_sealed = True

    @rule(data=st.data())
    @precondition(lambda self: self.checkpoints)
    def prove(self, data: st.DataObject) -> None:
        """Prove an event that is sealed, and give the proof away."""
        place, key = self.life.place, self.life.verifier
        sealed = open_checkpoint(place.checkpoint.read_bytes(), key).size
        position = data.draw(st.integers(1, sealed))
        (row,) = self.ledger.read(position - 1, position)
        self.proofs.append((position, prove_event(place, key, row)))

    @rule(full=st.booleans(), data=st.data())
    @precondition(lambda self: self.checkpoints)
    def verify(self, full: bool, data: st.DataObject) -> None:
        """Nothing is found, from what was verified last, in full, or against what was kept.

        Every proof that was given away holds, and every erasure that is sealed can be certified.
        """
        if self.half_sealed:  # between signing and publishing: `verify` would say so
            self.seal()
        kept = data.draw(st.none() | st.sampled_from(self.checkpoints))
        found = verify(self.life.place, self.life.verifier, full=full, against=kept, processes=1)
        assert list(found.findings) == []
        for position, proof in self.proofs:
            proved = check_proof(proof, self.life.verifier)
            assert f"position   {position}\n" in proved_text(proved)
        sealed = open_checkpoint(self.life.place.checkpoint.read_bytes(), self.life.verifier).size
        for who in sorted(self.model.copy(sealed).forgotten()):
            check_proof(certificate(self.ledger, self.life.place, who), self.life.verifier)

    # -- copies

    @rule()
    @precondition(lambda self: self.model.head not in self.backup_heads.values())
    def back_up(self) -> None:
        """Make a backup."""
        self.backed_up()

    def backed_up(self) -> Path:
        """Make a backup; tells where."""
        target = self.folder / f"backup-{len(self.backups)}"
        made = back_up(self.life.place, target, lambda head: self.life.seal(), CopyOptions())
        assert (made.position, made.unsealed) == (self.model.head, None)
        self.checkpoints.append(self.life.place.checkpoint.read_bytes())
        self.backups.append(target)
        self.backup_heads[target] = made.position
        return target

    @rule(data=st.data())
    @precondition(lambda self: self.backups)
    def restore(self, data: st.DataObject) -> None:
        """Live on in a restored backup; one that lacks what was signed is refused."""
        self.restored(data.draw(st.sampled_from(self.backups)))

    @rule(lost=batches, others=batches, seen=st.booleans())
    def set_back(self, lost: Sequence[Fact], others: Sequence[Fact], seen: bool) -> None:
        """Lose what was appended after a backup and not sealed, and write on; others looked."""
        backup = self.backed_up()
        self.append(lost)
        if seen:
            self.projected()
            self.everybody(self.now(), keep=True)
        self.restored(backup)
        self.append(others)
        if seen:
            self.projected()
            self.everybody(self.now(), keep=True)

    def restored(self, backup: Path) -> None:
        """Restore a backup in the place of what there is."""
        root = self.life.new_folder()
        place = self.life.place
        for each in (self.life.keys, place.key, last_signed_path(place.key)):
            if each.exists():
                shutil.copy(each, root / each.name)
        self.let_go()
        self.keep_beside(root)
        signed = last_signed(place)
        assert signed is not None
        kept = [Kept(last_signed_path(place.key), signed)]
        head, key = self.backup_heads[backup], self.life.verifier
        try:
            with drafting(root / "a.ledger") as draft:
                restore(backup, draft, key, kept, CopyOptions())
                finish(draft)
        except Stale:
            assert open_checkpoint(signed, key).size > head
            shutil.rmtree(root)
            return
        assert open_checkpoint(signed, key).size <= head
        # Time passes meanwhile: columns and views tell another course of events by the recorded_at,
        # source and id of the last one they hold, and would not if the clock had stood still.
        self.life.clock.now = max(self.life.clock.now, self.model.last or 0) + HOUR
        self.followed = min(self.followed, head)
        self.life.model = self.model.copy(head)
        self.life.move(root)
        self.answers = [each for each in self.answers if each[2].position <= head]
        destroy_again(self.ledger)
        for who in forgotten_elsewhere(self.ledger):
            self.said_forgotten(who)
        forget_again(self.ledger, actor=None, time=self.life.clock.now)

    def keep_beside(self, root: Path) -> None:
        """Leave views and columns where they lie, as whoever restores in the same place does."""
        for path in self.life.root.glob("a.*"):
            if path.name == "a.ledger.columns":
                shutil.copytree(path, root / path.name)
            elif path.name.startswith("a.views"):
                shutil.copy(path, root / path.name)

    @rule(cut=st.integers(1, 5))
    @precondition(lambda self: self.rarely())
    def move_elsewhere(self, cut: int) -> None:
        """Export everything and import it elsewhere, twice: the same rows, once."""
        lines = list(to_cloudevents(self.ledger.read()))
        moved = [parse_line(line) for line in lines]
        path = self.life.new_folder() / "b.ledger"
        clock = SetClock(max(self.life.clock.now, self.model.last or 0))
        with Ledger.create(path, clock=clock) as other:
            for start in range(0, len(moved), cut * 5):
                outcomes = other.append(moved[start : start + cut * 5], keep_recorded_at=True)
                assert [type(each).__name__ for each in outcomes] == ["Appended"] * len(outcomes)
            again = other.append(moved, keep_recorded_at=True)
            assert {type(each).__name__ for each in again} == {"Duplicate"}
            assert list(other.read()) == list(self.ledger.read())
        shutil.rmtree(path.parent)

    # -- questions

    def moments(self, draw: Callable[[Any], Any]) -> Moment:
        """Draw a moment: an as_of on a boundary, known at a position or at the head."""
        position = draw(st.just(self.model.head) | st.integers(0, self.model.head))
        instants = boundaries(self.recorded(), "X") or [BEGIN]
        as_of = draw(st.sampled_from(instants) | times) + draw(st.sampled_from((0, 0, -1, 1)))
        recorded_at = self.model.rows[position - 1].recorded_at if position else None
        return Moment(as_of, recorded_at, position)

    def recorded(self) -> list[Recorded]:
        """Return the model's rows as a plain reading takes them."""
        return [row.recorded() for row in self.model.rows]

    @rule(data=st.data(), who=st.sampled_from(PEOPLE), exam=st.sampled_from(EXAMS))
    def ask(self, data: st.DataObject, who: str, exam: str) -> None:
        """Ask for a standing: the plain reading of the model's facts says the same."""
        moment = self.moments(data.draw)
        instant = (moment.known_at or BEGIN) + data.draw(st.integers(-1, 1))
        assert self.ledger.position_at(instant) == self.model.position_at(instant)
        standing = Snapshot(self.ledger, moment).standing(who, exam)
        rows = [r for r in self.recorded() if r.stream in (f"candidate/{who}",) or
                not r.stream.startswith("candidate/")]  # fmt: skip
        reading = Reading(rows, exam, moment.as_of, moment.position, who)
        assert_reads(reading, standing, boundaries(rows, exam))
        self.answers.append((who, exam, moment, standing.model_dump_json()))

    @rule(data=st.data())
    @precondition(lambda self: self.answers)
    def ask_again(self, data: st.DataObject) -> None:
        """What was answered once is answered so for ever, to the byte."""
        who, exam, moment, said = data.draw(st.sampled_from(self.answers))
        assert Snapshot(self.ledger, moment).standing(who, exam).model_dump_json() == said

    @rule(data=st.data(), keep=st.booleans())
    def ask_about_everybody(self, data: st.DataObject, keep: bool) -> None:
        """The compiled fold over columns says of everybody what the other says one by one."""
        self.everybody(self.moments(data.draw), keep=keep)

    def now(self) -> Moment:
        """Return the present, on all that is recorded."""
        return Moment(self.life.clock.now, self.model.last, self.model.head)

    def everybody(self, moment: Moment, *, keep: bool) -> None:
        """Compare the two folds of everybody."""
        everyone = bound(self.ledger, keep_columns=keep, workers=1)
        table = everyone.at(moment).everybody()
        assert list(rows_of(table)) == list(one_by_one(self.ledger, moment)), dicts(table)

    @rule()
    def project(self) -> None:
        """Keep views up to the ledger."""
        self.projected()

    def projected(self) -> Path:
        """Bring the views up to the ledger; tells where they are."""
        views = self.life.root / "a.views"
        with keeper(self.ledger, views, WAYS) as kept:
            kept.catch_up()
            assert kept.position == self.model.head
        return views

    @rule()
    def build_views(self) -> None:
        """ReadModel that were kept up are those that are built from nothing."""
        views = self.projected()
        told: list[Any] = []
        assert check(self.ledger, views, WAYS, told.append).differences == 0, told

    @rule()
    def follow(self) -> None:
        """A reader who resumes by position sees every position once."""
        found: list[int] = []

        def is_there() -> bool:
            return self.followed + len(found) >= self.model.head

        for rows in self.ledger.follow(self.followed, stop=is_there):
            found.extend(row.position for row in rows)
        assert found == list(range(self.followed + 1, self.model.head + 1))
        self.followed = self.model.head

    # -- what always holds

    @invariant()
    def both_hold_the_same(self) -> None:
        """Every row, in every column that the model has; positions and recorded_at in order."""
        rows = list(self.ledger.read())
        assert [row.position for row in rows] == list(range(1, self.model.head + 1))
        assert [
            (r.recorded_at, r.occurred_at, r.type, r.stream, r.source, r.id, r.actor, r.annuls)
            for r in rows
        ] == [
            (t.recorded_at, t.fact.time, t.fact.event.type, t.stream, t.fact.source, t.fact.id,
             t.fact.actor, t.annuls)
            for t in self.model.rows
        ]  # fmt: skip
        stamps = [row.recorded_at for row in rows]
        assert stamps == sorted(stamps)
        head = (self.model.head, self.model.last or 0)
        assert tuple(self.ledger.head()) == head
        if self.second is not None:
            assert tuple(self.second.head()) == head

    @invariant()
    def nobody_who_was_forgotten_has_a_key(self) -> None:
        """And the key file remembers everybody whose key was destroyed."""
        if self.life.keys.exists():
            held = keys_of(self.ledger, self.life.keys)
            assert held.came_back == ()
            assert set(held.only_here) == self.model.without_key - self.model.forgotten()
            assert not held.damaged

    @invariant()
    def personal_fields_are_closed_for_the_forgotten_alone(self) -> None:
        """Whoever has the keys reads what was said, but for those whose key was destroyed."""
        for row, taken in zip(self.ledger.read(), self.model.rows, strict=True):
            if row.type == "ExceptionRequested":
                assert self.ledger.vault.reveal(row) == self.model.payload(taken)
                assert "Ada" not in row.data
                assert "ada@" not in row.data


def proved_text(proved: Any) -> str:
    """Write what a proof proves."""
    from ledger.tlog.verify_proof import shown

    return shown(proved)


DEEP = settings.get_current_profile_name() == "deep"
TestLives = Lives.TestCase
TestLives.settings = settings(
    max_examples=200 if DEEP else 15,
    stateful_step_count=80 if DEEP else 40,
    deadline=None,
    derandomize=not DEEP,
    suppress_health_check=list(HealthCheck),
)
