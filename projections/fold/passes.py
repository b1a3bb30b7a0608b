"""When a pass is free again, by the policy's `[pass]`."""

from projections.fold.calendar import midnight_after, wait_end
from projections.fold.certifications import Cover
from projections.fold.facts import NEVER, NONE
from retake_policies.rules import AFTER, AFTER_EXPIRY, ALWAYS, Rules


def wait_begins(rules: Rules, start: int, end: int) -> int:
    """Return from when a wait runs: the start of the sitting or, if the policy says so, its end."""
    return end if rules.wait_from_end == 1 else start


def free_from(rules: Rules, start: int, end: int) -> int:
    """Return from when a pass is free under `after`.

    "From its start (or end, as wait.from says) plus pass.after on, reckoned as wait.days says of
    waits" (spec section 4).
    """
    return wait_end(
        wait_begins(rules, start, end),
        rules.pass_unit,
        rules.pass_amount,
        rules.wait_days,
        rules.zone_from,
        rules.zone_offset,
    )


def window_opens(rules: Rules, running_until: int) -> int:
    """Return from when on a pass is free before the certifications end; NEVER where none is.

    "When covering certifications earned by t run at t, each of them has an end: 00:00 (policy zone)
    of the date of the latest of these ends less that period" (spec section 4).
    """
    if rules.retake != AFTER_EXPIRY or rules.pass_amount == 0:
        return NEVER
    if running_until in (NONE, NEVER):
        return NEVER
    return midnight_after(
        running_until,
        rules.pass_unit,
        -rules.pass_amount,
        rules.zone_from,
        rules.zone_offset,
    )


def free_again(rules: Rules, start: int, end: int, cover: Cover, t: int) -> bool:
    """Return whether the pass of a sitting is free again at `t`, under the `cover` of then.

    "Under always, at once; under never, never; under after-expiry, when a certification covering X
    that the candidate had earned by t ended after the sitting began and by t, and none of those
    earned by t still runs at t. With before_expiry it is free too when t lies in the window, and
    the sitting began before that" (spec section 4).
    """
    if rules.retake == AFTER:
        return free_from(rules, start, end) <= t
    if rules.retake != AFTER_EXPIRY:
        return rules.retake == ALWAYS
    if cover.running_until == NONE:
        return cover.lapsed_at > start
    return start < cover.opens <= t


def free_until(rules: Rules, start: int, end: int, cover: Cover, t: int) -> int:
    """Return until when a pass that stands at `t` does, NEVER where that has no end.

    "`after`: when it is free; `after-expiry`: the latest end of the covering certifications running
    at A (with before_expiry: 00:00 of its date less the period, if that lies after A), null if none
    runs or one never ends" (spec section 4).
    """
    if rules.retake == AFTER:
        return free_from(rules, start, end)
    if rules.retake != AFTER_EXPIRY or cover.running_until == NONE:
        return NEVER
    return cover.opens if t < cover.opens < NEVER else cover.running_until
