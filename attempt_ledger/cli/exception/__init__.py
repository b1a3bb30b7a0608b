"""`exception`: ask for retake exceptions, decide them, list them."""

from __future__ import annotations

from attempt_ledger.cli.exception import decide, listing, request
from attempt_ledger.cli.options import group

app = group(
    "Ask for retake exceptions; grant, reject, revoke, list them.\n\n"
    "Names, e-mail address and description are kept encrypted. Reasons (--reason, --why) and "
    "--actor are kept in clear text: no personal data belongs there."
)
for part in (request, decide, listing):
    app.add_typer(part.app)
