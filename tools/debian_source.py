"""Source packages of Debian, fetched with apt into a private list folder, so that the machine's apt stays as it is.

The archive's address is taken from the machine's own apt configuration; only Debian's own
archives are asked.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from php_flavours import version_key

Run = subprocess.CompletedProcess[str]


class SourceError(Exception):
    """No source could be obtained; the message says why, for the user."""


class DebianSource:
    """Debian's source packages.

    Args:
        state_dir: folder for the private lists; kept between runs.
    """

    def __init__(self, state_dir: Path) -> None:
        self._list_file = state_dir / "sources.list"
        self._lists = state_dir / "lists"
        self._refreshed = False

    def versions(self, package: str) -> list[str]:
        """List the versions of a source package that the archive offers, newest first.

        Raises:
            SourceError: apt is missing or the lists cannot be fetched.
        """
        self._refresh()
        answer = self._run("apt-cache", "showsrc", "--only-source", package)
        return parse_versions(answer.stdout)

    def fetch(self, package: str, folder: Path) -> Path:
        """Download the upstream tarball of a source package.

        A version can be listed and yet be gone from the mirror; then the next older one is taken. apt checks
        the archive's signature and the file's checksum.

        Args:
            package: such as ``php8.2``.
            folder: where the files go; made if needed.

        Returns:
            The ``.orig.tar`` file.

        Raises:
            SourceError: no version could be downloaded.
        """
        folder.mkdir(parents=True, exist_ok=True)
        complaint = f"Debian's archive does not offer the source package {package}"
        for version in self.versions(package):
            answer = self._run("apt-get", "source", "--download-only", f"{package}={version}", cwd=folder)
            tarball = find_tarball(folder, package, version)
            if answer.returncode == 0 and tarball is not None:
                return tarball
            complaint = f"{package} {version} could not be downloaded: {last_error(answer.stderr)}"
        raise SourceError(complaint)

    def _refresh(self) -> None:
        if self._refreshed:
            return
        (self._lists / "partial").mkdir(parents=True, exist_ok=True)
        self._list_file.write_text(source_lines(self._repositories()), encoding="utf-8")
        answer = self._run("apt-get", "update", "-q")
        if answer.returncode != 0:
            raise SourceError(f"the lists of Debian's sources could not be fetched: {last_error(answer.stderr)}")
        self._refreshed = True

    def _repositories(self) -> str:
        """Ask apt which archives it uses; without any list it knows none, so root fetches the lists once."""
        command = (
            "apt-get",
            "indextargets",
            "--format",
            "$(ORIGIN)|$(REPO_URI) $(RELEASE) $(COMPONENT)",
            "Created-By: Packages",
        )
        known = run_plain(*command)
        if not known.stdout.strip() and os.geteuid() == 0:
            run_plain("apt-get", "update", "-q")
            known = run_plain(*command)
        if not source_lines(known.stdout):
            raise SourceError("apt knows no archive of Debian here (if this is Debian, run `apt-get update` first)")
        return known.stdout

    def _run(self, *command: str, cwd: Path | None = None) -> Run:
        options = [
            f"Dir::Etc::SourceList={self._list_file}",
            "Dir::Etc::SourceParts=/dev/null",
            f"Dir::State::Lists={self._lists}",
            "Dir::Cache::pkgcache=",
            "Dir::Cache::srcpkgcache=",
            # Downloads go to folders that only the user may write.
            "APT::Sandbox::User=root",
        ]
        extra = [word for option in options for word in ("-o", option)]
        return run_plain(command[0], *extra, *command[1:], cwd=cwd)


def run_plain(*command: str, cwd: Path | None = None) -> Run:
    """Run a program of apt in plain English and capture what it says.

    Raises:
        SourceError: there is no such program.
    """
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    try:
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise SourceError(f"{command[0]} is not installed, so this is no Debian system") from error


def source_lines(index_targets: str) -> str:
    """Turn ``origin|uri release component`` lines into deb-src lines for Debian's own archives."""
    lines = []
    for line in index_targets.splitlines():
        origin, _, repository = line.partition("|")
        if origin == "Debian" and f"deb-src {repository}" not in lines:
            lines.append(f"deb-src {repository}")
    return "".join(f"{line}\n" for line in lines)


def parse_versions(showsrc: str) -> list[str]:
    """Take the versions from the output of ``apt-cache showsrc``, newest first."""
    found = set(re.findall(r"^Version: (\S+)$", showsrc, re.MULTILINE))
    return sorted(found, key=version_key, reverse=True)


def find_tarball(folder: Path, package: str, version: str) -> Path | None:
    """Find the upstream tarball of a version among downloaded files (the version without epoch and Debian revision)."""
    upstream = version.partition(":")[2] or version
    upstream = upstream.rpartition("-")[0] or upstream
    return next(iter(sorted(folder.glob(f"{package}_{upstream}.orig.tar.[gx]z"))), None)


def last_error(stderr: str) -> str:
    """Take the sentence of apt that says most: the first error line, else the last line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("E:", "Err:"))]
    return (errors or lines[-1:] or ["apt said nothing"])[0]
