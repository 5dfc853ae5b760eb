#!/usr/bin/env python3
"""Print facts of a PHP build for meson, one a line: version, folder of libphp, prefix, php-config.

Where the build cannot be embedded, print the reason and end with 1.
"""

from __future__ import annotations

import sys

from howdah_source import EngineVersionError, read_php_build


def main() -> int:
    """Check the php-config named by the first argument."""
    try:
        build = read_php_build(sys.argv[1])
    except EngineVersionError as error:
        print(error, file=sys.stderr)
        return 1
    print(build.version, build.library.parent, build.prefix, build.php_config, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
