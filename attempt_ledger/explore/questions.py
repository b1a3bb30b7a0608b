"""The questions an auditor is most likely to ask, as SQL over the read model.

Two functions are added to SQLite's own (`attempt_ledger.explore.connection`): `micros(text)` reads
a day or an instant, and `instant(number)` writes one.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Question(NamedTuple):
    """A question: its name in the address, how it is put, what is filled in, and the SQL."""

    name: str
    title: str
    says: str
    asks: tuple[str, ...]
    """Its parameters, in the order in which they are filled in."""
    sql: str


_DAY = "day: a date (its 00:00 UTC) or an instant such as 2021-03-15T09:00:00Z; empty: now."
_EXAM = "exam: a code; empty: every exam."
_SPAN = "from, to: dates or instants, from inclusive, to exclusive; empty: no bound."

QUESTIONS: Final = (
    Question(
        "waiting",
        "Who was waiting on a day?",
        "Everybody whom the wait after a failed sitting kept from sitting again, and until when. "
        f"{_DAY} {_EXAM}",
        ("day", "exam"),
        """
SELECT candidate, exam, instant(eligible_from) AS eligible_from, sittings_in_series,
  instant(last_sitting_at) AS last_sitting_at, last_outcome
FROM standings
WHERE status = 'waiting' AND valid_from <= micros(:day) AND valid_to > micros(:day)
  AND (:exam = '' OR exam = :exam)
ORDER BY exam, candidate
""",
    ),
    Question(
        "corrected",
        "Whom did a correction change?",
        "Each annulment, revocation or late fact after which a standing was not what it had been: "
        "as of when it was true (was, is), or as of when it became known (told before, after). "
        f"By when it became known; {_SPAN}",
        ("from", "to"),
        """
SELECT c.position, instant(c.recorded_at) AS recorded_at, f.actor AS recorded_by, c.kind, c.type,
  c.candidate, c.exam, c.key, instant(c.true_at) AS true_at, c.was_status, c.is_status,
  instant(c.was_eligible_from) AS was_eligible_from,
  instant(c.is_eligible_from) AS is_eligible_from, c.told_before, c.told_after
FROM corrections AS c LEFT JOIN facts AS f ON f.position = c.position
WHERE (c.was_status IS NOT c.is_status OR c.was_eligible_from IS NOT c.is_eligible_from
    OR c.told_before IS NOT c.told_after)
  AND (:from = '' OR c.recorded_at >= micros(:from)) AND (:to = '' OR c.recorded_at < micros(:to))
ORDER BY c.position, c.number
""",
    ),
    Question(
        "late",
        "Which facts were recorded late?",
        "Facts that became known so many days or more after they were true, the latest first, and "
        "who recorded them. days: such as 1, 30 or 0.5; empty, or less than what counts as late "
        "(a column of position, usually a day): that.",
        ("days",),
        """
SELECT c.position, c.type, c.candidate, c.exam, c.key, instant(c.true_at) AS true_at,
  instant(c.recorded_at) AS recorded_at,
  round((c.recorded_at - c.true_at) / 86400000000.0, 1) AS days_late, f.actor AS recorded_by
FROM corrections AS c LEFT JOIN facts AS f ON f.position = c.position
WHERE c.kind <> 'annulment' AND c.number = 1
  AND c.recorded_at - c.true_at >= max(
    iif(:days = '', 0, CAST(:days AS REAL)) * 86400000000, (SELECT late FROM position))
ORDER BY c.recorded_at - c.true_at DESC, c.position
""",
    ),
    Question(
        "exceptions_decided",
        "Which exceptions were decided how, and by whom?",
        "Each request for a retake exception with the decision that holds, who recorded it, how "
        f"long it took, and whether the grant was used. By when it was decided; {_SPAN}",
        ("from", "to"),
        """
SELECT e.candidate, e.exam, e.request_id, e.decision,
  (SELECT f.actor FROM facts AS f WHERE f.position = e.decided_by) AS decided_by,
  instant(e.decided_at) AS decided_at, instant(e.requested_at) AS requested_at,
  round((e.decided_at - e.requested_at) / 86400000000.0, 1) AS days_taken, e.reason, e.waives,
  instant(e.valid_until) AS valid_until, instant(e.used_at) AS used_at, e.used_by, e.missing, e.why
FROM exceptions AS e
WHERE e.decision <> 'open'
  AND (:from = '' OR e.decided_at >= micros(:from)) AND (:to = '' OR e.decided_at < micros(:to))
ORDER BY e.decided_at, e.candidate, e.request_id
""",
    ),
    Question(
        "certifications_ending",
        "Whose certifications end in a month?",
        "Certifications held until some instant of the month, in UTC. month: such as 2022-07; "
        "empty: this month.",
        ("month",),
        """
WITH month AS (
  SELECT micros(first) AS begins, micros(date(first, '+1 month')) AS ends
  FROM (SELECT iif(:month = '', strftime('%Y-%m', 'now'), :month) || '-01' AS first))
SELECT c.candidate, c.certification, (
    SELECT d.title FROM certification_exams AS d WHERE d.certification = c.certification LIMIT 1
  ) AS title, instant(c.ends_at) AS ends_at, instant(c.earned_at) AS earned_at, c.renewals
FROM certifications AS c, month
WHERE c.ends_at >= month.begins AND c.ends_at < month.ends
ORDER BY c.ends_at, c.candidate, c.certification
""",
    ),
    Question(
        "not_eligible",
        "Which sittings were taken while not eligible?",
        "By the policy in force at the sitting, as it is known now: what stood against it just "
        "before, and from when it might have been taken. A sitting that an exception allowed is "
        f"not among them. By its start; {_SPAN} {_EXAM}",
        ("from", "to", "exam"),
        """
SELECT candidate, exam, registration_id, instant(started_at) AS started_at, delivery, status,
  instant(eligible_from) AS eligible_from, ordinal, outcome, position
FROM sittings
WHERE status <> 'eligible' AND outcome <> 'missed' AND (:exam = '' OR exam = :exam)
  AND (:from = '' OR started_at >= micros(:from)) AND (:to = '' OR started_at < micros(:to))
ORDER BY started_at, position
""",
    ),
    Question(
        "pass_rate",
        "What was the pass rate, month by month?",
        "Of each exam and month: how many sittings began, how many are passed and failed by what "
        "is known now, and what share of these two is passed, in percent. "
        f"By their start, in UTC; {_SPAN} {_EXAM}",
        ("from", "to", "exam"),
        """
SELECT strftime('%Y-%m', started_at / 1000000, 'unixepoch') AS month, exam, count(*) AS sittings,
  sum(outcome = 'passed') AS passed, sum(outcome = 'failed') AS failed,
  round(100.0 * sum(outcome = 'passed') / sum(iif(outcome IN ('passed', 'failed'), 1, NULL)), 1)
    AS pass_rate
FROM sittings
WHERE (:exam = '' OR exam = :exam) AND outcome <> 'missed'
  AND (:from = '' OR started_at >= micros(:from)) AND (:to = '' OR started_at < micros(:to))
GROUP BY month, exam
ORDER BY month, exam
""",
    ),
    Question(
        "unknown_exams",
        "Which exams have sittings, and nobody announced them?",
        "A code that was mistyped, perhaps: how many sittings of how many candidates name it, the "
        "first and the last, and the exam of the catalogue whose code is the same in another "
        "casing.",
        (),
        """
SELECT s.exam, count(*) AS sittings, count(DISTINCT s.candidate) AS candidates,
  instant(min(s.started_at)) AS first_at, instant(max(s.started_at)) AS last_at,
  (SELECT min(e.exam) FROM exams AS e WHERE upper(e.exam) = upper(trim(s.exam))) AS perhaps
FROM sittings AS s
WHERE s.exam NOT IN (SELECT exam FROM exams)
GROUP BY s.exam
ORDER BY count(*) DESC, s.exam
""",
    ),
    Question(
        "pending_betas",
        "Which beta results are pending, and for how long?",
        "Beta sittings without a result as it is known now, the oldest first, with their age in "
        "days, and days since their exam went live: results usually come 7 to 10 days after that. "
        f"The age is counted to day. {_DAY} {_EXAM}",
        ("day", "exam"),
        """
SELECT s.candidate, s.exam, s.registration_id, instant(s.started_at) AS started_at,
  round((micros(:day) - s.started_at) / 86400000000.0, 1) AS age_days,
  instant(e.live_at) AS live_at,
  iif(e.live_at <= micros(:day), round((micros(:day) - e.live_at) / 86400000000.0, 1), NULL)
    AS days_since_live
FROM sittings AS s JOIN exams AS e ON e.exam = s.exam
WHERE s.outcome = 'pending' AND s.delivery = 'beta' AND s.started_at <= micros(:day)
  AND (:exam = '' OR s.exam = :exam)
ORDER BY s.started_at, s.candidate, s.exam
""",
    ),
    Question(
        "policy_in_force",
        "Which policies were in force on a day?",
        "Of each policy the version in force, and the exams that follow it by their last "
        "definition. assumed: the day lies before the first version, which is used then. "
        f"{_DAY}",
        ("day",),
        """
SELECT policy, title, instant(effective_from) AS effective_from,
  effective_from > micros(:day) AS assumed, source, sha256, position,
  (SELECT group_concat(exam, ', ') FROM (SELECT e.exam FROM exams AS e
    WHERE e.policy = versions.policy ORDER BY e.exam)) AS exams
FROM (
  SELECT *, row_number() OVER (
    PARTITION BY policy
    ORDER BY effective_from > micros(:day),
      iif(effective_from > micros(:day), effective_from, -effective_from),
      published_at DESC, position DESC) AS choice
  FROM policies) AS versions
WHERE choice = 1
ORDER BY policy
""",
    ),
    Question(
        "timeline",
        "What was a candidate's standing, from when until when?",
        "Each stretch in which nothing of it changed, on the latest knowledge. valid_to empty: it "
        f"holds on. candidate: an id. {_EXAM}",
        ("candidate", "exam"),
        """
SELECT exam, instant(valid_from) AS valid_from, instant(valid_to) AS valid_to, status,
  instant(eligible_from) AS eligible_from, sittings_in_series,
  instant(period_ends_at) AS period_ends_at, instant(last_sitting_at) AS last_sitting_at,
  last_outcome
FROM standings
WHERE candidate = :candidate AND (:exam = '' OR exam = :exam)
ORDER BY exam, standings.valid_from
""",
    ),
    Question(
        "annulled",
        "What was annulled, by whom, and why?",
        "Each event that was recorded in error: what it said, who recorded it and when, and who "
        f"annulled it. By when it was annulled; {_SPAN}",
        ("from", "to"),
        """
SELECT c.position, instant(c.recorded_at) AS annulled_at, a.actor AS annulled_by, a.reason,
  c.annuls, e.type, e.subject, e.exam, e.key, instant(c.true_at) AS true_at,
  instant(e.recorded_at) AS recorded_at, e.actor AS recorded_by, e.source, e.id
FROM corrections AS c
  LEFT JOIN facts AS a ON a.position = c.position
  LEFT JOIN facts AS e ON e.position = c.annuls
WHERE c.kind = 'annulment' AND c.number = 1
  AND (:from = '' OR c.recorded_at >= micros(:from)) AND (:to = '' OR c.recorded_at < micros(:to))
ORDER BY c.position
""",
    ),
    Question(
        "how_far",
        "How far do these tables go, and is anything in them stale?",
        "The position they stand for and when it was recorded, and the exams whose rows are being "
        "folded again after a change of the catalogue or a policy.",
        (),
        """
SELECT p.position, instant(p.recorded_at) AS recorded_at,
  (SELECT group_concat(exam, ', ') FROM (SELECT exam FROM stale ORDER BY exam))
    AS stale_exams, p.ledger
FROM position AS p
""",
    ),
)
"""Twelve questions, and the one that says how far the answers go."""
