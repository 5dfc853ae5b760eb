"""Where no folder for temporary files is writable, as in a container with a read-only file system."""

from __future__ import annotations

import tempfile

import pytest

from howdah.cli.run import serve
from howdah.cli.temporary import temporary_folder
from howdah.config.http import ServerModel
from howdah.errors import HowdahError


def none() -> str:
    raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")


def test_the_folder_is_pythons() -> None:
    assert temporary_folder() == tempfile.gettempdir()


def test_its_absence_is_a_sentence_before_anything_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", none)
    with pytest.raises(HowdahError, match=r"mount /tmp .*, or set TMPDIR"):
        serve(ServerModel(), None, lambda label, lines: label)
