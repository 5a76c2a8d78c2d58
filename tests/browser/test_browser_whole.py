"""A call from a real browser through the real SDKs to fakes of the services, and what is kept."""

import re
import zlib
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from numpy.typing import NDArray
from playwright.async_api import Error as PlaywrightError

import voice_ai
from browser.chrome import Watched, chrome, hears, opened, until
from browser.sounds import HZ, silence, write
from serving import serving
from voice_ai.phone import tones

# The second words come into the first answer.
BEFORE_S, BETWEEN_S, AFTER_S = 2.5, 1.5, 60.0
FIRST, SECOND = "What time is it?", "No, wait."
ANSWER = f"I heard: {SECOND} Anything else?"
# Calls that may be placed until the microphone is whole: it says why below.
N_CALLS = 3
FRAME = 160  # 20 ms at 8 kHz; a character of FakeAura's lasts 50
PAUSE = 60  # 0.3 s of frames: longer than the fake's between words, shorter than before an answer
NEAR_HZ = 15.0


def said(text: str) -> NDArray[np.int16]:
    """Words as the fakes' ear can hear them, at the fake microphone's rate."""
    return np.frombuffer(tones.encode(text), "<i2").repeat(HZ // tones.RATE_HZ)


def spoken(samples: NDArray[np.int16]) -> list[float]:
    """The pitch of each frame of what was said last, a quarter of a frame apart."""
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(float), FRAME)[:: FRAME // 4]
    sounds = np.flatnonzero(np.abs(frames).max(axis=1) > 1000)
    pauses = np.flatnonzero(np.diff(sounds) > PAUSE)
    loud = frames[sounds[pauses[-1] + 1 :]]
    peaks = np.abs(np.fft.rfft(loud * np.hanning(FRAME), 8 * FRAME)).argmax(axis=1)
    return [float(hz) for hz in peaks * tones.RATE_HZ / (8 * FRAME)]


def missing(text: str, pitches: list[float]) -> list[str]:
    """The words of FakeAura's that were not heard in their order."""
    at, gone = 0, []
    for word in re.findall(r"\S+", text):
        pitch = 300 + zlib.crc32(word.encode()) % 2700
        found = [n for n in range(at, len(pitches)) if abs(pitches[n] - pitch) < NEAR_HZ]
        at, gone = (found[0], gone) if found else (at, [*gone, word])
    return gone


async def turn(watched: Watched, n: int, words: str) -> None:
    selector = f".turn[data-n='{n}']"
    await watched.page.wait_for_selector(f"{selector} .agent:visible", timeout=30_000)
    await until(watched.page, f"{selector} .caller p", words)


def hears_whole(recordings: Path) -> bool:
    """Whether all that the fake microphone said has come in as it was said.

    A Chromium whose machine gives it too little CPU repeats 10 ms of its fake microphone's sound;
    that breaks a symbol, and tones with a wrong checksum are no words.
    """
    (file,) = recordings.glob("*.wav")
    octets = file.read_bytes()
    caller = voice_ai.ulaw_decode(octets[octets.index(b"data") + 8 :: 2])
    middle = 2 * int(tones.RATE_HZ * (BEFORE_S + len(said(FIRST)) / HZ + BETWEEN_S / 2))
    heard = (tones.decode(part, tones.RATE_HZ) for part in (caller[:middle], caller[middle:]))
    return [*heard] == [FIRST, SECOND]


async def test_a_call_is_heard_answered_interrupted_recorded_and_kept(
    chromium: str, tmp_path: Path
) -> None:
    pieces = (silence(BEFORE_S), said(FIRST), silence(BETWEEN_S), said(SECOND), silence(AFTER_S))
    speech = write(tmp_path / "q.wav", *pieces)
    for n in range(N_CALLS):
        folder = tmp_path / str(n)
        try:
            await hold_a_call(chromium, speech, folder)
            return
        except* (AssertionError, PlaywrightError):
            if n + 1 == N_CALLS or hears_whole(folder / "recordings"):
                raise


async def hold_a_call(chromium: str, speech: Path, folder: Path) -> None:
    kept = {"keep_calls": True, "data_dir": folder, "record": True}
    async with (
        serving(**kept) as world,
        chrome(chromium, *hears(speech)) as browser,
        opened(browser, world.app.url) as watched,
    ):
        page = watched.page
        await page.click("#call")
        await turn(watched, 1, FIRST)
        await page.wait_for_selector(".turn[data-n='1'] del:visible", timeout=20_000)
        await turn(watched, 2, SECOND)
        assert await page.query_selector(".turn[data-n='2'] .waterfall")
        await until(page, "#phase", "Listening", 30)
        assert missing(ANSWER, spoken(await watched.played())) == []
        await page.click("#call")
        await until(page, "#phase", "The call is over")

        (record,) = world.app._calls.records()
        sid = record.call.call_sid
        await page.goto(f"{world.app.url}/#/call/{sid}")
        await until(page, "main", FIRST)
        await page.wait_for_selector("audio:visible")
        shown = await page.inner_text("main")
        assert SECOND in shown and "the caller hung up" in shown
        ask = f"fetch('/api/calls?call_sid={sid}').then(answer => answer.json())"
        told = await page.evaluate(ask)
        assert [one["caller"] for one in told["turns"]] == [FIRST, SECOND]
        assert {"mark", "clear", "barge_in"} <= {one["kind"] for one in told["notes"]}
        await page.screenshot(path=folder / "call.png", full_page=True)
        await page.goto(f"{world.app.url}/#/calls")
        await until(page, "main", "browser")
        gone = f"fetch('/api/calls?call_sid={sid}', {{method: 'DELETE'}}).then(a => a.status)"
        assert await page.evaluate(gone) == 204
        assert not list((folder / "recordings").glob("*.wav"))
    assert world.violations == []
