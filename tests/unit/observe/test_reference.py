"""The reference pages know everything that there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args, get_type_hints

from howdah.config.http import LogField
from howdah.observe.metrics import Metrics
from tests.unit.admin.control import FakeControl
from tests.unit.observe.snapshots import End, Runtime
from tests.unit.observe.test_metrics import ALL

REFERENCE = Path(__file__).resolve().parents[3] / "docs" / "reference"


def test_every_metric_is_in_the_reference() -> None:
    runtime = Runtime(ALL)
    metrics = Metrics(runtime, lost_log_lines=lambda: 0)
    runtime.observers[0](*End())
    text = (REFERENCE / "metrics.md").read_text()
    page, _ = metrics.render()
    names = re.findall(r"^# TYPE (\S+)", page.decode(), re.MULTILINE)
    assert names
    assert [name for name in names if f"`{name}`" not in text] == []
    documented = re.findall(r"`((?:frankenphp|howdah|process)_\w+)`", text)
    assert sorted(set(documented) - set(names)) == []


def test_every_endpoint_is_in_the_reference() -> None:
    from howdah.admin.app import make_admin

    app = make_admin(FakeControl(), Metrics(Runtime()))
    text = (REFERENCE / "admin.md").read_text()
    paths = [route.path.replace("{path:path}", "PATH") for route in app._app.routes]  # type: ignore[attr-defined]
    assert [path for path in paths if path not in text] == []


def test_every_filter_is_in_the_reference() -> None:
    text = (REFERENCE / "logs.md").read_text()
    kinds = get_args(get_type_hints(LogField)["kind"])
    assert [kind for kind in kinds if f"`{kind}" not in text] == []
