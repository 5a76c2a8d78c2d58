"""A browser, and the server that it talks to."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from voice_ai.server.settings import Settings

if TYPE_CHECKING:
    from playwright.async_api import Browser

SOURCE = Path(__file__).parents[2] / "src"
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
LISTENING = re.compile(r"^Listening on (http://\S+), ", re.MULTILINE)
READY_S = 90.0

# Its answers are what a caller's recordings call for; one of them is long enough to be interrupted.
AGENT = """
instructions = "You answer the phone."
greeting = "Hello."
fallback = "I heard: {heard}"

[[answers]]
when = ["meters"]
say = "We are open from nine to six. On Saturday we are open from ten to two."

[[answers]]
when = ["ten of", "10 of"]
say = "We are at twelve Harbour Street, next to the library. Parking is behind the house. \
The next appointment is on Thursday at half past two. A cleaning is ninety pounds."
"""


@pytest.fixture(scope="session")
def chromium() -> str:
    """The program; skips where there is none. CHROMIUM names another."""
    pytest.importorskip("playwright", reason="playwright is not installed")
    names = [os.environ["CHROMIUM"]] if "CHROMIUM" in os.environ else NAMES
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no Chromium here ({', '.join(names)}); CHROMIUM names one")
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(chromium: str) -> AsyncIterator["Browser"]:
    """One for all tests of a file, with a microphone that beeps."""
    from browser.chrome import BEEPS, chrome  # noqa: PLC0415 - where playwright is installed

    async with chrome(chromium, *BEEPS) as made:
        yield made


@pytest.fixture(scope="session")
def local_server(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of `python -m server` on the local providers."""
    room = tmp_path_factory.mktemp("server")
    (room / "desk.toml").write_text(AGENT)
    ours = {name.upper() for name in Settings.model_fields}
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    environment |= {"PORT": "0", "AGENT": "desk.toml", "PYTHONUNBUFFERED": "1"}
    if SOURCE.is_dir():
        environment["PYTHONPATH"] = str(SOURCE)
    log = room / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "server"],
            cwd=room,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _until_ready(process, log)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def _until_ready(process: "subprocess.Popen[bytes]", log: Path) -> str:
    late = time.monotonic() + READY_S
    while time.monotonic() < late and process.poll() is None:
        said = log.read_text()
        if "Ready." in said:
            listening = LISTENING.search(said)
            assert listening
            return listening[1]
        time.sleep(0.05)
    raise AssertionError(f"the server did not get ready:\n{log.read_text()}")
