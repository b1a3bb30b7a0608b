"""Take the pictures of docs/console.md: the demo's ledger, served, in Chromium.

Run by `make screenshots`. A picture has the moment of its address, so that it is the same again
but for what the console itself has changed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
LEDGER = ROOT / ".demo" / "attempts.ledger"
COMMAND = str(Path(sys.executable).with_name("attempt-ledger"))
SHOTS = {
    "candidate": ("/candidate?id=C-1004&as_of=2022-03-12&known_at=@348", 1280, "light"),
    "candidate-dark": ("/candidate?id=C-1001&as_of=2021-04-12&known_at=@720", 1280, "dark"),
    "candidate-phone": ("/candidate?id=C-1004&as_of=2022-03-12&known_at=@348", 390, "light"),
    "report": ("/report?name=volumes&month=2022-03&known_at=@720", 1280, "light"),
    "exception": (
        "/exception?candidate=C-1006&exam=DP-203&request_id=X-3001&as_of=2022-02-05&known_at=@720",
        1280,
        "light",
    ),
}
"""By name: the page, the width in pixels, the colours."""


def main() -> None:
    """Serve the demo's ledger, and take every picture."""
    PICTURES.mkdir(exist_ok=True)
    with subprocess.Popen(
        [COMMAND, "--ledger", str(LEDGER), "serve", "--port", "0", "--rate", "0"],
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stderr is not None
        said = server.stderr.readline()
        found = re.search(r" is at (http://\S+) until", said)
        assert found, said
        try:
            _take(found[1])
        finally:
            server.terminate()


def _take(address: str) -> None:
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
        )
        for name, (path, width, scheme) in SHOTS.items():
            context = browser.new_context(
                viewport={"width": width, "height": 800},
                color_scheme=scheme,  # type: ignore[arg-type]
            )
            page = context.new_page()
            page.goto(address + path, wait_until="networkidle")
            page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
            context.close()
            print(PICTURES.relative_to(ROOT) / f"{name}.png")


if __name__ == "__main__":
    main()
