"""Every setting is documented, with its true default and its help text."""

import os
import re
from dataclasses import fields
from pathlib import Path

from app.settings import CLONE_FOLDER, Settings

ROW = re.compile(r"^\| `([A-Z_]+)` \| (.*) \| (.*) \|$", re.MULTILINE)


def written(value: object) -> str:
    """Return a default as the page writes it."""
    if value in ("", ()):
        return "(empty)"
    if isinstance(value, tuple):
        return ", ".join(map(written, value))
    return f"`{os.path.relpath(value, CLONE_FOLDER)}/`" if isinstance(value, Path) else f"`{value}`"


def test_the_page_lists_exactly_the_settings_there_are():
    page = (CLONE_FOLDER / "docs" / "settings.md").read_text("utf-8")

    documented = [match.groups() for match in ROW.finditer(page)]

    assert documented == [
        (option.name.upper(), written(option.default), option.metadata["help"]) for option in fields(Settings)
    ]
