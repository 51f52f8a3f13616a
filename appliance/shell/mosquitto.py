"""The local Mosquitto: its configuration, users, passwords and ACL, written from the topics table. 2.0.11 to 2.1."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

from appliance.domain import topics
from appliance.errors import EnvironmentFault
from appliance.shell.child import Spec
from appliance.shell.credentials import write_private
from appliance.shell.paths import StatePaths

PACKET_MARGIN = 4096
"""Room (bytes) for the topic, the MQTT 5 header and the ``sent`` stamp around a payload of PAYLOAD_MAX."""

# Passwords are 32 random bytes, which no number of rounds makes harder to guess; Mosquitto's own default count keeps
# connecting fast on a small board. Mosquitto 2.0 takes salts of exactly 12 bytes.
_ROUNDS = 101
_SALT_BYTES = 12

_CONFIG = """\
# Written by the appliance at every start; changes are lost.
# One global block for users and rights: 'per_listener_settings' is deprecated from 2.1 on.
allow_anonymous false
password_file {passwords}
acl_file {acl}

# A unix socket and nothing else: no port to reach, and a hundredth of the latency of TCP without TCP_NODELAY.
listener 0 {socket}

# Journals keep; the broker is only the wire. A store torn by a power cut would keep the broker from starting at all.
persistence false

# Not 0: without a bound a stopped client's messages would fill the memory. What is dropped, the journals replay.
max_inflight_messages 20
max_queued_messages 10000
max_queued_bytes 33554432
max_packet_size {packet}
persistent_client_expiration 1h

sys_interval 10
log_dest stderr
log_type error
log_type warning
log_type notice
log_timestamp_format %Y-%m-%dT%H:%M:%S
"""

# Started as root Mosquitto would change to its own user, who can read neither our run directory nor the passwords.
_AS_ROOT = "user root\n"


def find_binary(path: str | None = None) -> Path:
    """Mosquitto's program, searched in ``path`` (default: PATH and the sbin directories, which users often lack).

    Raises EnvironmentFault when it is not installed."""
    searched = path if path is not None else f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
    found = shutil.which("mosquitto", path=searched)
    if found is None:
        raise EnvironmentFault(
            f"mosquitto is not installed (looked in {searched})", hint="sudo apt install mosquitto, then try again"
        )
    return Path(found)


def write_config(paths: StatePaths, processes: Sequence[str], root: str) -> Path:
    """Write configuration, passwords and ACL for these users below topic ``root``; the configuration's path.

    Passwords that exist are kept, so that what runs stays connected across restarts. Raises EnvironmentFault."""
    text = _CONFIG.format(
        passwords=paths.mosquitto_passwords,
        acl=paths.mosquitto_acl,
        socket=paths.mqtt_socket,
        packet=topics.PAYLOAD_MAX + PACKET_MARGIN,
    )
    rows = [f"{process}:{hashed(_ensure_password(paths, process))}\n" for process in processes]
    write_private(paths.mosquitto_passwords, "".join(rows))
    write_private(paths.mosquitto_acl, topics.acl(tuple(processes), root))
    write_private(paths.mosquitto_conf, text + (_AS_ROOT if os.geteuid() == 0 else ""))
    return paths.mosquitto_conf


def spec(paths: StatePaths) -> Spec:
    """How the supervisor runs Mosquitto with the written configuration. Raises EnvironmentFault when it is missing."""
    command = (str(find_binary()), "-c", str(paths.mosquitto_conf))
    return Spec("mosquitto", command, socket=paths.mqtt_socket, must_start=True)


def password(paths: StatePaths, process: str) -> str:
    """A process's MQTT password. Raises EnvironmentFault when there is none yet or it may not be read."""
    path = paths.credential(process)
    try:
        return path.read_text().strip()
    except OSError as error:
        raise EnvironmentFault(
            f"{path}: the MQTT password of {process} cannot be read: {error.strerror}",
            hint="run as the user who started the appliance; 'appliance up' writes it at start",
        ) from error


def hashed(secret: str, salt: bytes | None = None) -> str:
    """A password in Mosquitto's own ``$7$`` form: PBKDF2 with SHA-512."""
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, _ROUNDS)
    return f"$7${_ROUNDS}${b64encode(salt).decode()}${b64encode(digest).decode()}"


def start_fault(lines: Sequence[str]) -> EnvironmentFault:
    """The error for a Mosquitto that did not start, with what it said last."""
    said = "\n".join(f"  {line}" for line in lines) or "  (it said nothing)"
    return EnvironmentFault(
        f"mosquitto does not start; its last words:\n{said}",
        hint="another mosquitto may hold the socket, or the state directory is not writable; see log/mosquitto.log",
    )


def _ensure_password(paths: StatePaths, process: str) -> str:
    path = paths.credential(process)
    if not path.exists() or not path.stat().st_size:
        write_private(path, secrets.token_urlsafe(32) + "\n")
    return password(paths, process)
