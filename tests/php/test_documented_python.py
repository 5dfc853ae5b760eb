"""The program of docs/reference/python.md, run as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

from tests.php.harness.commands import python
from tests.php.harness.server import REPOSITORY


def test_the_program_of_the_page_prints_what_php_answers(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    found = re.search(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert found is not None
    (tmp_path / "index.php").write_text("<?php echo \"Hello, {$_GET['name']}\";")
    assert 'site="hello"' in found[1]
    result = python(found[1].replace('site="hello"', f"site={str(tmp_path)!r}"))
    assert result.stdout == "200 Hello, Ada\n1\n", result.stderr
