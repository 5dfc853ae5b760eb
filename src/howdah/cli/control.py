"""``howdah stop``, ``reload`` and ``trust``: what an operator does with a running server and its authority."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from howdah.admin.client import DEFAULT_ADDRESS, AdminClient
from howdah.cli.parser import Parser
from howdah.cli.run import add_config, config_reader
from howdah.cli.threads import add_address
from howdah.config.dump import to_json
from howdah.errors import ConfigError, HowdahError

_STOP_DESCRIPTION = """\
Let the running server end as SIGTERM does: it takes no new connections and finishes the requests that run.
The command returns when it has begun to.
"""
_RELOAD_DESCRIPTION = """\
Put a changed Caddyfile in force without losing a request. It is read here, so a mistake in it is told with its place;
what only the server can find out changes nothing either. php.ini settings need a restart.
"""
_TRUST_DESCRIPTION = """\
Say how browsers and programs come to trust the local authority, which signs the certificates of `tls internal`.
"""
# Where distributions take authorities of the machine's own, and what puts them in force.
_STORES = (
    ("/usr/local/share/ca-certificates", "howdah-local-authority.crt", ("update-ca-certificates",)),
    ("/etc/pki/ca-trust/source/anchors", "howdah-local-authority.pem", ("update-ca-trust", "extract")),
    ("/etc/ca-certificates/trust-source/anchors", "howdah-local-authority.crt", ("trust", "extract-compat")),
)


def run_stop(arguments: list[str]) -> int:
    """Stop the running server; gives the exit code.

    Raises:
        HowdahError: no server answers.
    """
    parser = Parser(prog="howdah stop", description=_STOP_DESCRIPTION)
    add_address(parser)
    AdminClient(parser.parse(arguments).address).stop()
    return 0


def run_reload(arguments: list[str]) -> int:
    """Put a configuration in force; gives the exit code.

    Raises:
        ConfigError: the configuration is wrong.
        HowdahError: no server answers, or it refuses the configuration.
    """
    parser = Parser(prog="howdah reload", description=_RELOAD_DESCRIPTION)
    add_config(parser)
    parser.add_argument(
        "--address",
        metavar="ADDR",
        help=f"address of the admin API (default: as the configuration says, or {DEFAULT_ADDRESS})",
    )
    parser.add_argument("-f", "--force", action="store_true", help="let the worker scripts boot again, too")
    options = parser.parse(arguments)
    model = config_reader(options.config)()
    for warning in model.warnings:
        sys.stderr.write(f"howdah: warning: {warning}\n")
    if not model.admin.enabled and options.address is None:
        raise ConfigError("the configuration turns the admin API off: send SIGHUP to the server instead")
    client = AdminClient(options.address or model.admin.listen, model.admin.token or None)
    client.load(json.dumps(to_json(model)).encode(), "application/json")
    if options.force:
        client.restart_workers()
    return 0


def run_trust(arguments: list[str]) -> int:
    """Say how the local authority is trusted, or let the machine trust it; gives the exit code.

    Raises:
        HowdahError: the authority cannot be used, or the machine has no known store.
    """
    parser = Parser(prog="howdah trust", description=_TRUST_DESCRIPTION)
    parser.add_argument("--install", action="store_true", help="put it into the machine's store (needs root)")
    options = parser.parse(arguments)
    from howdah.serve.localca import Authority, data_folder

    authority = Authority(data_folder(os.environ) / "pki")
    authority.root(dt.datetime.now(dt.UTC))
    if options.install:
        print(f"The machine trusts {authority.root_file} now, by {install(authority.root_file)}.")
        return 0
    print(_advice(authority.root_file))
    return 0


def install(root_file: Path, stores: tuple[tuple[str, str, tuple[str, ...]], ...] = _STORES) -> Path:
    """Put a root certificate into the machine's store; gives the file there.

    Raises:
        HowdahError: there is no known store, or this user may not write to it.
    """
    for folder, name, command in stores:
        tool = shutil.which(command[0])
        if tool is None or not Path(folder).is_dir():
            continue
        target = Path(folder, name)
        try:
            shutil.copyfile(root_file, target)
            target.chmod(0o644)
            subprocess.run([tool, *command[1:]], check=True, capture_output=True, text=True)
        except OSError as error:
            raise HowdahError(f"{target} cannot be written: {error.strerror}; run it as root") from None
        except subprocess.CalledProcessError as error:
            raise HowdahError(f"{command[0]} failed: {error.stderr.strip() or error.returncode}") from None
        return target
    raise HowdahError(
        "this machine has no store of authorities that is known here; `howdah trust` says what else to do"
    )


def _advice(root_file: Path) -> str:
    return "\n".join(
        [
            f"The certificate of the local authority is {root_file}",
            "",
            "This machine's programs:  howdah trust --install",
            "                          (as root, with the XDG_DATA_HOME or HOME of the server)",
            f"curl:                     curl --cacert {root_file} https://localhost/",
            "Firefox:                  Settings, Privacy & Security, View Certificates, Authorities, Import",
            f"Chromium on Linux:        certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n Howdah -i {root_file}",
            "PHP's streams and curl:   ini settings openssl.cafile and curl.cainfo",
            "",
            "Whoever has the key beside it can pretend to be any site to who trusts it: never copy root.key.",
        ]
    )
