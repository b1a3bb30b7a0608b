"""Write docs/audit.md from the audit queries themselves. `--check` says whether it is current."""

from __future__ import annotations

import sys
from pathlib import Path

from generate_reports import columns
from pages import settle

from replay.audit.registry import QUERIES, query_named

PAGE = Path(__file__).with_name("audit.md")

START = """\
# Audit

<!-- Written by docs/generate_audit.py from replay/audit: change it there. -->

For whoever must find out who recorded what, on which facts it was decided, and what it changed.
That nothing was altered since is shown by the [transparency log](transparency.md): `verify` for all
of it, `prove` for one event. Here with the example's ledger (`make demo`):

```console
$ attempt-ledger audit annulments
Annulments
known at 2023-06-29T00:10:00Z (position 720)

@352  annuls @348  ExamFailed  candidate C-1004  MS-900  R-10042
    recorded 2022-03-17T08:50:41.207733Z by exam-desk  urn:desk R-10042/result/annulled
    reason: the score report of another seat was sent for this registration
    annulled: true from 2022-03-09T10:55:00Z, recorded 2022-03-09T11:01:40.090210Z by \
results-feed  urn:onvue R-10042/result
    it said {"exam":"MS-900","registration_id":"R-10042","score":655}, and stood for \
7 d 21:49:01.117523

1 annulment.

1 row, sha256 …
$ attempt-ledger audit events --subject C-1004 --recorded-from 2022-03-17 --recorded-to 2022-03-18
Events
subject C-1004, recorded from 2022-03-17 to 2022-03-18, known at 2023-06-29T00:10:00Z (position 720)

@352  2022-03-17T08:50:41.207733Z  EventAnnulled  candidate C-1004  MS-900  R-10042
    true from 2022-03-17T08:50:00Z by exam-desk  urn:desk R-10042/result/annulled; annuls @348

@353  2022-03-17T08:52:03.915520Z  ExamPassed  candidate C-1004  MS-900  R-10042
    true from 2022-03-09T10:55:00Z by exam-desk  urn:onvue R-10042/result/2

2 events, 0 of them annulled.

2 rows, sha256 …
$ attempt-ledger audit backdated --by P7D --candidate C-1004 --changes --output late.csv
attempt-ledger: late.csv: 1 row; receipt in late.csv.receipt.json
$ attempt-ledger receipt check late.csv
late.csv: the same. candidate C-1004, more than 7 days late, with what they changed, known at \
2023-06-29T00:10:00Z (position 720): 1 row, sha256 …
```

`--format` is `text`, `csv`, `tsv`, `json` (an array of objects, one a line),
`jsonl`, `parquet`, `xlsx` or `arrow`,
or is told by the name of `--output`. Every form says the same, text what people look at first.
Every file has a [receipt](receipts.md): `receipt check` computes it again, and finds what was
changed in it. CSV is safe to open in a spreadsheet, as that of [reports](reports.md) is.

**One axis.** An audit is about what was recorded, so it asks at a known_at alone: `--known-at T` or
`@POSITION`, or everything recorded. An annulled event is listed like any other, and which position
annulled it, if that was known then.

**Conditions** are all true of what is listed. Intervals are from inclusive, to exclusive:
`--recorded-from`, `--recorded-to` (when the ledger took it) and `--valid-from`, `--valid-to` (its
`time`). `--exam` finds the annulments of an exam's events too. `--subject` is the id of a
candidate, exam, certification or policy.

**Large ledgers.** Rows are written while they are read: ten million events take no more memory than
a hundred. A candidate, a subject and a source with few events are looked up by an index, recorded
time is bisected; anything else reads the ledger once, in order.

**No personal field** is in any answer, neither in clear text nor as ciphertext. Where an event's
data is shown, `sealed` stands in place of one, or `erased` if the candidate was forgotten by then.
What people type as a `reason` or `why` is shown as it is: it is not for personal data.
"""

NOTES = {
    "events": """\
What the events say is not in it: `export` gives them whole, and `prove` one with its proof.
""",
    "history": """\
What an event changed is the difference that knowing it makes, and nothing else: both standings are
as of the same instant, so that the clock has no part in it, and as known at two positions that
follow each other. That instant is the event's recording (its own time, where that lies up to five
minutes later): what would have been answered that day without it, and with it. A result that comes
nine days late may so show no change of `status`, since the wait it begins is over; whether it
changed the answers of the days before is what `audit backdated --changes` tells. Catalogue and
policy entries change standings too: `diff` names those between any two moments, and `impact` tells
what one would change beforehand.

The last row of an exam says with `…_after` what `standing` says as of the row's `as_of`, known at
the row's position.
""",
    "backdated": """\
The threshold is time or days of 24 hours (`PT36H`, `P7D`): what passes between truth and recording
is elapsed time. Months are refused, since they are not all as long. A fact exactly at the threshold
is not over it. Entries of the catalogue and policies are facts as well; a policy whose
`effective_from` lies in the past is not backdated by that, its `time` counts.

With `--changes` each is held against the standing of its candidate as of every instant from when it
was true (of an annulment: from when what it annuls was) until it was recorded, as known just before
it and with it. That takes some milliseconds a fact, so it is not done unasked.
""",
    "exceptions": """\
What was known is what was recorded before the decision, at the position just before it; what was
true is as of the decision's `time`. So a decision is judged by what whoever made it could know.

- The request is judged as the desk does it: by the policy in force when it was made, and by the
  sittings as known at the decision. `wrong` and `missing` say all that is wrong.
- A grant **agrees** (`yes`) if there was a request with nothing wrong in it that was not decided
  yet, and the policy in force at the decision lets be waived what is waived. Any other is **against
  the rule** (`no`), and `against` says all that speaks against it.
- A rejection agrees if something was wrong. If nothing was, the rule leaves it open (`open`): it
  says which requests are rejected, not that all others are granted. Revoking a grant that is active
  is open as well. Revoking what is not active, or rejecting what was decided otherwise, is against
  the rule.
- What a request says in personal fields is sealed, and this needs no key: a sealed field counts as
  filled in, but where the rejection itself says that it was blank.
- `used_by` is the first counted sitting at or after the grant, if the grant had not run out, been
  revoked or been replaced by then; needed or not (it is used up all the same).
""",
}


def written() -> str:
    """Write all of docs/audit.md."""
    lines = [START]
    for query in map(query_named, QUERIES):
        lines += [f"## {query.name}: {query.title}", "", query.says, ""]
        if query.name in NOTES:
            lines += [NOTES[query.name]]
        taken = ", ".join(f"`{name}`" for name in sorted(query.takes))
        lines += [f"Conditions, as a receipt names them: {taken}. Rows are identified by "
                  f"{' and '.join(f'`{name}`' for name in query.key)}.", ""]  # fmt: skip
        lines += [*columns(query.columns), ""]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    sys.exit(settle(PAGE, written, sys.argv[1:]))
