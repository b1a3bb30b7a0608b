"""The process that draws charts; it imports nothing of ours that it does not need.

The drawing library is native code: what it cannot digest may end the process it runs in. So it
runs in one that nothing else depends on, and gets no character that XML cannot hold.
"""

from __future__ import annotations

import json
import sys
from typing import Final

import vl_convert

from replay.formats.child import confine

_SCALE: Final = 2.0
"""Of a PNG: sharp on a screen of today, and in print."""


def main() -> None:
    """Draw what standard input asks for onto standard output."""
    confine()
    order = json.load(sys.stdin)
    try:
        if order["kind"] == "png":
            picture: bytes = vl_convert.vegalite_to_png(order["spec"], scale=_SCALE)
        else:
            picture = str(vl_convert.vegalite_to_svg(order["spec"])).encode()
    except ValueError as error:
        sys.exit(str(error).partition("\n")[0])
    sys.stdout.buffer.write(picture)


if __name__ == "__main__":
    main()
