"""A Chromium that talks to the page: what it hears is a file, what it plays is kept."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright

# Without a sandbox and a GPU it runs as root and in containers; the rest keeps it off the network.
# No autoplay policy is lifted: a click has to be enough.
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
ALLOWED = "--use-fake-ui-for-media-stream"
FAKE_DEVICE = "--use-fake-device-for-media-stream"
BEEPS = (ALLOWED, FAKE_DEVICE)
DESKTOP = {"width": 1280, "height": 800}
PATIENCE_S = 20.0

# What goes to the loudspeaker also goes here. The page knows nothing of it.
TAP = """
const connect = AudioNode.prototype.connect;
window.heard = [];
AudioNode.prototype.connect = function (to, ...rest) {
  if (to instanceof AudioDestinationNode && this instanceof AudioWorkletNode) {
    const tap = this.context.createScriptProcessor(2048, 1, 1);
    tap.onaudioprocess = ({ inputBuffer }) => {
      window.heard_hz = inputBuffer.sampleRate;
      window.heard.push(inputBuffer.getChannelData(0).slice());
    };
    if (this.numberOfInputs === 0) {
      connect.call(this, tap);
      connect.call(tap, to);
    }
  }
  return connect.call(this, to, ...rest);
};
"""
TAKE = """() => {
  const all = new Int16Array(window.heard.reduce((n, piece) => n + piece.length, 0));
  let at = 0;
  for (const piece of window.heard) for (const x of piece) all[at++] = Math.round(x * 32767);
  const octets = new Uint8Array(all.buffer);
  let text = "";
  for (let i = 0; i < octets.length; i += 32768) {
    text += String.fromCharCode(...octets.subarray(i, i + 32768));
  }
  return [window.heard_hz ?? 0, btoa(text)];
}"""


class Watched:
    """A page, and what it did that it may not do."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.wrong: list[str] = []
        self._own = re.compile(rf"(http|ws)://{re.escape(origin.partition('://')[2])}/|blob:")
        page.on("console", self._logged)
        page.on("pageerror", lambda error: self.wrong.append(f"page error: {error}"))
        page.on("request", self._asked)

    def _logged(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.wrong.append(f"console: {message.text}")

    def _asked(self, request: Request) -> None:
        if not self._own.match(request.url):
            self.wrong.append(f"request to {request.url}")

    async def played(self) -> NDArray[np.int16]:
        """What the loudspeaker was given so far, at 8 kHz."""
        rate, text = await self.page.evaluate(TAKE)
        samples = np.frombuffer(base64.b64decode(text), "<i2")
        if not len(samples):
            return samples
        at = np.arange(int(len(samples) * 8000 / rate)) * (rate / 8000)
        smooth = np.convolve(samples.astype(float), np.hanning(9) / np.hanning(9).sum(), "same")
        resampled: NDArray[np.int16] = np.interp(at, np.arange(len(samples)), smooth).astype("<i2")
        return resampled


@asynccontextmanager
async def chrome(program: str, *options: str) -> AsyncIterator[Browser]:
    """Run a browser with these options beside the usual ones."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program, args=[*OPTIONS, *options]
        )
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def opened(
    browser: Browser, url: str, *, script: str = "", wrong: tuple[str, ...] = ()
) -> AsyncIterator[Watched]:
    """Open a page of a server's; then nothing may have gone wrong but what is named in `wrong`."""
    room = await browser.new_context(viewport=DESKTOP)  # type: ignore[arg-type]
    room.set_default_timeout(PATIENCE_S * 1000)
    await room.add_init_script(TAP + script)
    watched = Watched(await room.new_page(), url)
    try:
        await watched.page.goto(url)
        yield watched
    except BaseException:
        print("The page says:", await watched.page.inner_text("body"))
        raise
    finally:
        await room.close()
    found = [one for one in watched.wrong if not any(words in one for words in wrong)]
    assert found == []


async def until(page: Page, selector: str, words: str, within_s: float = PATIENCE_S) -> None:
    """Wait until an element of the page has these words."""
    text: Any = None
    try:
        async with asyncio.timeout(within_s):
            while words not in ((text := await _text(page, selector)) or ""):
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"{selector} says {text!r}, not {words!r}") from None


async def _text(page: Page, selector: str) -> str | None:
    found = await page.query_selector_all(selector)
    return " ".join([await one.inner_text() for one in found])


def hears(recording: Path) -> tuple[str, ...]:
    """The options by which the microphone is this file, once."""
    return (ALLOWED, FAKE_DEVICE, f"--use-file-for-fake-audio-capture={recording}%noloop")
