"""The browser that tests drive, and where they keep its pictures."""

from pathlib import Path

ARTEFACTS = Path(__file__).parent / "artefacts"
CHROMIUM = "/usr/bin/chromium"
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
