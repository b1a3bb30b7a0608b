"""`policy schema`: what an editor completes and checks a policy file by."""

from __future__ import annotations

import json

from attempt_ledger.cli.options import Output, command
from attempt_ledger.cli.output import text_to
from attempt_ledger.cli.problems import DONE
from retake_policies.json_schema import policy_schema


@command(
    "policy schema",
    examples="""
    attempt-ledger policy schema > policy.schema.json
    attempt-ledger policy schema --output policy.schema.json
    """,
)
def schema(output: Output = None) -> int:
    """Write the JSON Schema of policy files.

    An editor that knows JSON Schema for TOML completes keys and values by it, and marks what is
    wrong; docs/policies.md shows how to name it in a file. `policy check` checks more.
    """
    with text_to(output) as file:
        file.write(json.dumps(policy_schema(), indent=2, ensure_ascii=False) + "\n")
    return DONE
