"""The page's modules by themselves, in a real browser: resampling, and a conversation's picture."""

import json
from typing import Any

import numpy as np
import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.async_api import Browser

from browser.chrome import Watched, opened
from serving import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

RESAMPLE = """async ([from, to, hz]) => {
  const { Resampler } = await import("/page/resample.js");
  const resampler = new Resampler(from, to);
  const out = [];
  for (let i = 0; i < from / 8; i += 1) {
    resampler.push(Math.sin((2 * Math.PI * hz * i) / from));
    while (resampler.missing <= 0) out.push(resampler.take());
  }
  return out;
}"""
SHOW = """async ([steps]) => {
  const { renderConversation } = await import("/page/turns.js");
  const main = document.getElementById("main");
  main.replaceChildren();
  const shown = renderConversation(main);
  let n_changes = 0;
  for (const [name, value] of steps) shown[name](value);
  const watching = new MutationObserver((changes) => (n_changes += changes.length));
  watching.observe(main, { childList: true, subtree: true, characterData: true, attributes: true });
  for (const [name, value] of steps) if (name !== "setTurn" || value.over) shown[name](value);
  n_changes += watching.takeRecords().length;
  return n_changes;
}"""
TURN = {
    "n": 1,
    "at_ms": 4000,
    "caller": "<b>When</b> are you open?",
    "reply": "From 9 to 6. On Saturday from ten to two.",
    "heard": "From nine to six.",
    "over": True,
    "complete": False,
    "moments_ms": {
        "end_of_turn": 500,
        "recognised": 530,
        "first_token": 1400,
        "first_clause": 1770,
        "first_voice": 1900,
        "first_frame": 1901,
        "first_heard": 1940,
    },
}


async def resampled(watched: Watched, source: int, target: int, hz: float) -> np.ndarray:
    out = await watched.page.evaluate(RESAMPLE, [source, target, hz])
    assert abs(len(out) - target / 8) <= 1
    return np.array(out[len(out) // 4 :])


def db(samples: np.ndarray) -> float:
    return float(20 * np.log10(np.sqrt(2 * np.mean(samples**2)) + 1e-12))


async def test_speech_passes_the_resampler_and_nothing_folds_into_it(browser: Browser) -> None:
    async with serving() as world, opened(browser, world.app.url) as watched:
        for rate in (44100, 48000):
            for hz in (300, 7000):
                assert abs(db(await resampled(watched, rate, 16000, hz))) < 0.1
                assert abs(db(await resampled(watched, 16000, rate, hz))) < 0.1
            for hz in (8100, 12000, 20000):
                assert db(await resampled(watched, rate, 16000, hz)) < -65
            up = await resampled(watched, 16000, rate, 1000.0)
            at = 2 * np.pi * 1000 * np.arange(len(up)) / rate
            wave = np.stack([np.sin(at), np.cos(at)], axis=1)
            left = up - wave @ np.linalg.lstsq(wave, up, rcond=None)[0]
            assert db(left) < -65, "images of the tone"
        same = await resampled(watched, 16000, 16000, 5000)
        assert abs(db(same)) < 0.01


async def shown(watched: Watched, *steps: tuple[str, Any]) -> int:
    return int(await watched.page.evaluate(SHOW, [json.loads(json.dumps(steps))]))


async def test_a_conversation_in_the_order_of_time_and_what_was_not_heard(browser: Browser) -> None:
    early = TURN | {"over": False, "heard": "", "moments_ms": {"end_of_turn": 500}}
    later = TURN | {"n": 2, "at_ms": 9000, "complete": True, "caller": "Thanks.", "reply": "Bye."}
    call = {
        "greeting": "Hello.",
        "greeting_ms": 3,
        "partial": "and",
        "ended": True,
        "reason": "the caller hung up",
        "duration_ms": 65_000,
        "late_tools": [{"tool": "book", "output": "done"}],
    }
    note = {"at_ms": 6000, "kind": "barge_in", "text": "the caller cut in", "detail": "", "ms": 12}
    tool = {"at_ms": 4600, "kind": "tool", "text": "hours", "detail": '{"day": "<i>"} -> 9-6'}
    steps = (
        ("addNote", {"at_ms": 5000, "kind": "mark", "text": "1:400", "detail": ""}),
        ("addNote", note),
        ("setTurn", later),
        ("setTurn", early),
        ("addNote", tool),
        ("setCall", call),
        ("setTurn", TURN),
    )
    async with serving() as world, opened(browser, world.app.url) as watched:
        page = watched.page
        assert await shown(watched, *steps) == 0, "what is told again changes nothing"
        items = [
            (await item.inner_text()).split("\n")[0]
            for item in await page.query_selector_all(".conversation > li")
        ]
        assert items == [
            "Agent",
            "Caller 0:04",
            "0:04 tool: hours",
            "0:06 the caller cut in · 12 ms",
            "Caller 0:09",
            "1:05 tool: book",
            "Caller",
            "The call ended after 1:05: the caller hung up.",
        ]
        turn = ".turn[data-n='1']"
        assert await page.inner_text(f"{turn} .caller p") == "<b>When</b> are you open?"
        assert (await page.inner_text(f"{turn} .agent span")).strip() == "From nine to six."
        assert await page.text_content(f"{turn} del") == "(not heard: On Saturday from ten to two.)"
        caption = await page.inner_text(f"{turn} caption")
        assert caption.split("\n") == ["1,940 ms to first heard", "slowest: model 1,240 ms"]
        slow = await page.eval_on_selector_all(
            f"{turn} .slowest th", "cells => cells.map(cell => cell.textContent)"
        )
        assert slow == ["first token", "first clause"]
