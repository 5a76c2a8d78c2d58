"""Who has the port of the settings: nobody, our own server, or another program."""

import errno
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import httpx

from voice_ai.server.settings import Settings
from voice_ai.server.webhook import local_url

# On this machine an answer takes milliseconds; a loop that is blocked for longer is no server.
ANSWER_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Port:
    """`who` has it; `url` is where it is reached, `detail` what else is known of who has it."""

    who: Literal["nobody", "ours", "another", "forbidden"]
    url: str
    detail: str = ""


def look_at_port(settings: Settings) -> Port:
    """Try to listen on the port; if that cannot be had, ask who is there."""
    url = local_url(settings.host, settings.port, is_secure=settings.tls_cert is not None)
    if not settings.port:
        return Port("nobody", url, "any free port")
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        with socket.create_server((settings.host, settings.port), family=family):
            return Port("nobody", url)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return Port("forbidden", url, error.strerror or str(error))
    return _who(url, settings.port)


def _who(url: str, port: int) -> Port:
    process = _listener(port)
    for base in dict.fromkeys((url, url.replace("https:", "http:", 1))):
        try:
            with httpx.Client(trust_env=False, timeout=ANSWER_S, verify=False) as http:
                answer = http.get(f"{base}/livez")
        except httpx.HTTPError as error:
            told = f"it gives no answer to HTTP ({type(error).__name__})"
            continue
        if answer.status_code == httpx.codes.OK and answer.text == "alive\n":
            return Port("ours", base, process)
        told = f"it answers /livez with {answer.status_code}"
    return Port("another", url, ", ".join(filter(None, (process, told))))


def _listener(port: int) -> str:
    """Name the process that listens, as far as Linux lets us see it."""
    inodes = _listening_inodes(port)
    for folder in Path("/proc").glob("[0-9]*") if inodes else ():
        if not inodes.isdisjoint(_links(folder / "fd")):
            with suppress(OSError):  # it has gone meanwhile
                return f"process {folder.name} ({(folder / 'comm').read_text().strip()})"
    return ""


def _links(folder: Path) -> set[str]:
    """Return what a process's descriptors are; nothing of one that is somebody else's."""
    found = set()
    with suppress(OSError):
        for link in folder.iterdir():
            with suppress(OSError):  # it was closed meanwhile
                found.add(os.readlink(link))
    return found


def _listening_inodes(port: int) -> set[str]:
    """Return the sockets that listen on a port, as /proc names them in a process's descriptors."""
    found = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/net", table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            # proc_pid_net(5): local address, 0A is LISTEN, the tenth field the inode.
            if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == "0A":
                found.add(f"socket:[{fields[9]}]")
    return found
