from __future__ import annotations

import gc

import pytest

from howdah.cli.collector import rare_collections


@pytest.mark.parametrize(("before", "meanwhile"), [(700, 10_000), (0, 0), (50_000, 50_000)])
def test_collections_are_rare_while_the_server_runs(before: int, meanwhile: int) -> None:
    usual = gc.get_threshold()
    gc.set_threshold(before, *usual[1:])
    try:
        with rare_collections():
            assert gc.get_threshold() == (meanwhile, *usual[1:])
        assert gc.get_threshold() == (before, *usual[1:])
    finally:
        gc.set_threshold(*usual)
