"""The folder for temporary files, which uploads, responses of slow clients and PHP need."""

from __future__ import annotations

import tempfile

from howdah.errors import HowdahError


def temporary_folder() -> str:
    """Give the folder.

    Raises:
        HowdahError: this user may write to none of the usual ones, as in a container whose file system is read-only.
    """
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        raise HowdahError(
            "there is no folder for temporary files that this user may write to: mount /tmp (a tmpfs will do), or set "
            "TMPDIR to another one"
        ) from None
