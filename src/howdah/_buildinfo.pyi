"""Which PHP the native extension was built with; the module is written by the build (native/buildinfo.py.in)."""

from typing import Final

PHP_CONFIG: Final[str]
PHP_PREFIX: Final[str]
PHP_VERSION: Final[str]
