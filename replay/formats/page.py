"""Pages that need nothing else: how each begins, and how a text gets into one."""

from __future__ import annotations

import base64
import hashlib
import re
from html import escape
from typing import IO, Final

NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
REPLACEMENT: Final = "\ufffd"


def write_head(title: str, style: str, file: IO[str]) -> None:
    """Begin a page with one style of its own.

    Nothing may be fetched, nor run, nor styled but by that one: it is a document.
    """
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    file.write(
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width">\n'
        f"<title>{text_of(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
    )


def text_of(text: str) -> str:
    """Write a text so that it is one: it ends no element, attribute or comment, and begins none.

    >>> text_of("</script>\\x00")
    '&lt;/script&gt;\\ufffd'
    """
    return escape(NOT_XML.sub(REPLACEMENT, text)).replace("\r", "&#13;")
