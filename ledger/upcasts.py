"""From the data of an earlier version of an event's schema to that of the current one."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ledger.problems import MalformedFact

Data: TypeAlias = dict[str, Any]
Upcasts: TypeAlias = Mapping[tuple[str, int], Callable[[Data], Data]]
"""By (type, version): a function from that version's data to the next version's."""

UPCASTS: Upcasts = {}
"""Every type is still at its first version. An entry, once released, is never changed."""


def upcast(type: str, version: int, current: int, data: Data, upcasts: Upcasts) -> Data:
    """Return `data` of `version` as data of `current`, one version at a time.

    The argument is not changed. Raises MalformedFact for a version that nothing leads up from.
    """
    while version != current:
        step = upcasts.get((type, version))
        if step is None:
            raise MalformedFact(
                f"{type} of schema version {version} is not known here: "
                f"version {current} is the one that can be read"
            )
        data = step(dict(data))
        version += 1
    return data
