"""The child of `howdah.engine.probe`: starts PHP with the settings on standard input, and says what PHP said.

Run as a program by path, without site-packages: standard library only, nothing of the package.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from typing import Any


def load_extension(path: str) -> Any:
    """Load the native extension from its file, outside its package."""
    loader = ExtensionFileLoader("_native", path)
    spec = spec_from_loader("_native", loader)
    if spec is None:
        raise ImportError(path)
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def main() -> None:
    """Start PHP, print its messages, and end with 0 if it runs."""
    settings = json.load(sys.stdin)
    native = load_extension(settings["native"])
    defaults = tuple((name.encode(), value.encode()) for name, value in settings["defaults"])
    code = 0
    native.log_to_stderr()
    try:
        native.start(settings["ini"].encode(), defaults, 1, 1, b"/", 0)
    except RuntimeError as error:
        sys.stderr.write(f"{error}\n")
        code = 1
    sys.stderr.flush()
    # No clean stop: this process has nothing to save, and its end must cost nothing.
    os._exit(code)


if __name__ == "__main__":
    main()
