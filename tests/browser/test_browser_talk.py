"""A conversation in a real browser, over the local providers: what is said, heard and shown."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from browser.chrome import Watched, chrome, hears, opened, until
from browser.sounds import recorded, silence, write
from reference.wer import word_errors
from voice_ai.providers.local.recognition import Recogniser

pytestmark = pytest.mark.local

# Chromium starts to read the file when the microphone is opened; the greeting is over by then.
BEFORE_S = 2.5
AFTER_S = 60.0
OPEN = "We are open from nine to six. On Saturday we are open from ten to two."
# So quiet is nobody who speaks, by the greatest sample.
QUIET = 300
# Samples at 8 kHz, a quarter of a second: what the page tells is so late at most. Our turn is held
# for longer, whether or not somebody has spoken.
STOPS = 2000
MOMENTS = [
    "end of turn",
    "words known",
    "first token",
    "first clause",
    "first voice",
    "first frame",
    "first heard",
]


async def answered(watched: Watched, n: int) -> str:
    """Wait for the answer to a turn to have been heard; return what is shown of the turn."""
    page = watched.page
    await page.wait_for_selector(f".turn[data-n='{n}'] .agent:visible", timeout=40_000)
    await until(page, ".phase", "Listening", 40)
    return await page.inner_text(f".turn[data-n='{n}']")


async def test_a_recorded_question_is_understood_and_its_answer_heard(
    chromium: str, local_server: str, tmp_path: Path
) -> None:
    question = write(tmp_path / "q.wav", silence(BEFORE_S), recorded("goforward"), silence(AFTER_S))
    async with (
        chrome(chromium, *hears(question)) as browser,
        opened(browser, local_server) as watched,
    ):
        page = watched.page
        await page.click("button#call")
        await until(page, "#call", "Hang up")
        shown = await answered(watched, 1)
        said = await page.inner_text(".turn[data-n='1'] .caller p")
        assert word_errors("go forward ten meters", said)[0] == 0, shown
        assert OPEN in shown
        assert await page.query_selector(".turn[data-n='1'] del:visible") is None
        names = await page.eval_on_selector_all(
            ".waterfall tbody th", "cells => cells.map(cell => cell.textContent)"
        )
        assert names == MOMENTS
        heard = await watched.played()
        words = await asyncio.to_thread(lambda: Recogniser().transcribe(heard.tobytes()))
        errors, n_words = word_errors(f"Hello. {OPEN}", words)
        assert errors * 10 <= n_words, words
        await look(watched, tmp_path)
        await page.click("#call")
        await until(page, ".phase", "The call is over")


async def look(watched: Watched, folder: Path) -> None:
    """Take the pictures that people look at; the narrowest page has no more than fits."""
    page = watched.page
    sizes = {"desktop": (1280, 800), "phone": (390, 844), "narrow": (360, 740)}
    for name, (width, height) in sizes.items():
        await page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            await page.screenshot(path=folder / f"talk-{name}-{scheme}.png")
        wide = await page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{wide} px wide at {width}"


async def test_who_speaks_again_interrupts(
    chromium: str, local_server: str, tmp_path: Path
) -> None:
    said = write(
        tmp_path / "q.wav",
        silence(BEFORE_S),
        recorded("cards_001"),
        silence(5.0),
        recorded("goforward"),
        silence(AFTER_S),
    )
    async with (
        chrome(chromium, *hears(said)) as browser,
        opened(browser, local_server) as watched,
    ):
        page = watched.page
        await page.click("#call")
        await until(page, "#phase", "Speaking", 40)
        await page.wait_for_selector(".turn[data-n='1'] .agent:visible")
        await until(page, "#phase", "Waiting for you", 40)
        before = len(await watched.played())
        await page.wait_for_selector(".turn[data-n='1'] del:visible", timeout=40_000)
        cut = await page.text_content(".turn[data-n='1'] del")
        said = await page.inner_text(".turn[data-n='1'] .agent p span")
        assert cut is not None and "(not heard: " in cut and "ninety" in cut
        assert "twelve Harbour Street" in said and "ninety" not in said
        shown = await answered(watched, 2)
        assert OPEN in shown
        await page.wait_for_selector(".note.barge_in")
        after = np.abs((await watched.played())[before:])
        assert after[STOPS : 2 * STOPS].max() < QUIET
        assert after.max() > 10 * QUIET, "the second answer"
