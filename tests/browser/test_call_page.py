"""One call's page in a real browser: its words, its numbers, and its sound."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.async_api import Browser, Page, expect

from browser.chrome import PATIENCE_S, opened
from browser.console_world import HOSTILE, World, console, finished_call, turn, wav
from voice_ai import ulaw_decode

SID = "CA" + "f" * 32
LOST = ("Failed to load resource",)
# Which URLs of sounds there are, and what they stand for.
URLS = """
window.urls = new Map();
const {createObjectURL, revokeObjectURL} = URL;
URL.createObjectURL = (blob) => {
  const url = createObjectURL.call(URL, blob);
  urls.set(url, blob);
  return url;
};
URL.revokeObjectURL = (url) => { urls.delete(url); revokeObjectURL.call(URL, url); };
"""
SHARPNESS = "(c => c.width / c.clientWidth)(document.querySelector('canvas'))"
# The share of a column's pixels in a band of the picture that are not as the page's ground is.
INKED = """([at, from, to]) => {
  const canvas = document.querySelector("canvas");
  const [x, y] = [Math.round(at * canvas.width), Math.round(from * canvas.height)];
  const height = Math.round((to - from) * canvas.height);
  const { data } = canvas.getContext("2d").getImageData(x, y, 1, height);
  let n = 0;
  for (let i = 3; i < data.length; i += 4) n += data[i] > 0;
  return n / height;
}"""
PARSE = """async (octets) => {
  const { parseWav } = await import("/page/wav.js");
  try {
    const { rate_hz, n_frames, data } = parseWav(Uint8Array.from(octets).buffer);
    return [rate_hz, n_frames, [...data]];
  } catch (error) {
    return `${error.name ?? ""} ${error.message}`;
  }
}"""
# How far along the slider the cursor stands, as a share; it follows the player's own event.
CURSOR_AT = """(([cursor, slider]) => (cursor.left - slider.left) / slider.width)(
  [".cursor", "[role=slider]"].map((it) => document.querySelector(it).getBoundingClientRect()))"""
BLOB = """async () => {
  const blob = urls.get(document.querySelector("audio").src);
  const octets = new Uint8Array(await blob.arrayBuffer());
  return [octets.length, btoa(String.fromCharCode(...octets.subarray(0, 60_000)))];
}"""


pytestmark = pytest.mark.asyncio(loop_scope="module")
expect.set_options(timeout=PATIENCE_S * 1000)


@asynccontextmanager
async def page_of(
    browser: Browser, world: World, call_sid: str = SID, *wrong: str
) -> AsyncIterator[Page]:
    async with opened(browser, world.url, script=URLS, wrong=wrong) as watched:
        await watched.page.goto(f"{world.url}/#/call/{call_sid}")
        yield watched.page


async def true(page: Page, expression: str) -> None:
    """Wait until it is; the page's policy has Playwright's own way of it refused."""
    async with asyncio.timeout(10):
        while not await page.evaluate(expression):
            await asyncio.sleep(0.02)


async def test_a_call_that_is_not_kept(browser: Browser) -> None:
    async with console() as world:
        async with page_of(browser, world, "CA1?x=%2F&y", *LOST) as page:
            await expect(page.locator(".alert:visible")).to_contain_text("keeps no such call")
            assert world.asked == ["/api/calls?call_sid=CA1%3Fx%3D%2F%26y"]


async def test_a_call_that_is_kept_no_longer_while_it_is_looked_at(browser: Browser) -> None:
    async with console() as world:
        record = world.memory.add(SID, 1.79e9, caller="+15550100001")
        async with page_of(browser, world, SID, *LOST) as page:
            await expect(page.locator("h1")).to_have_text("+15550100001")
            world.memory.kept.remove(record)
            await expect(page.locator(".alert:visible")).to_contain_text(
                "is the last that was known"
            )
            await expect(page.locator("h1")).to_have_text("+15550100001")


async def test_a_call_under_way_is_followed_to_its_end(browser: Browser) -> None:
    async with console() as world:
        record = world.memory.add(SID, 1.79e9, caller="+15550100001", is_recorded=True)
        record.phase = "nobody speaks"
        async with page_of(browser, world) as page:
            await expect(page.locator(".facts")).to_contain_text("listening")
            await expect(page.locator(".call")).to_contain_text("No answer yet.")
            await expect(page.locator(".call")).to_contain_text("once the call is over")
            turn(record, "Hello?", "Hello.", 250, 20, 400, 120, 5)
            await expect(page.locator(".columns li")).to_have_count(1)
            await expect(page.locator("[data-n='1']")).to_contain_text("Hello?")
            await expect(page.locator(".facts")).to_contain_text("0:02")
            turn(record, "Bye.", "Goodbye.", 250, 20, 900, 120, 5)
            record.note("tool", "opening_hours", "{}")
            record.reason = "the caller hung up"
            world.recordings[SID] = wav(b"\xff\xff" * 8000)
            record.end()
            await expect(page.locator(".facts")).to_contain_text("the caller hung up")
            await expect(page.locator(".note.tool")).to_contain_text("opening_hours")
            await expect(page.locator("audio")).to_be_visible()
            n_asked = len(world.asked)
            await page.wait_for_timeout(1500)  # it would have asked again by now
            assert len(world.asked) == n_asked


async def test_what_was_said_is_text_and_what_was_cut_off_is_told_apart(browser: Browser) -> None:
    async with console() as world:
        finished_call(world, SID)
        async with page_of(browser, world) as page:
            await expect(page.locator("[data-n='3'] .said.caller p")).to_have_text(HOSTILE)
            await expect(page.locator(".note.fault")).to_contain_text(HOSTILE)
            assert await page.locator("main img, main script").count() == 0
            assert await page.title() == "voice_ai"
            cut = page.locator("[data-n='2'] del")
            await expect(cut).to_contain_text("Lane, behind the old station.")
            assert await page.locator("[data-n='1'] del:visible").count() == 0
            await expect(page.locator(".facts .fault")).to_contain_text(
                "model failed 2 times, voice failed"
            )
            order = await page.locator(".conversation > li").evaluate_all(
                "items => items.map(item => item.dataset.n ?? item.className)"
            )
            notes = ["note fault", "note filler", "note tool"]
            assert order == [
                *("turn", "1", "2", "note barge_in", "3", *notes, "4", "note key", "5", "ending"),
            ]


async def test_the_chart_says_which_answer_was_the_worst_and_why(browser: Browser) -> None:
    async with console() as world:
        finished_call(world, SID)
        async with page_of(browser, world) as page:
            columns = page.locator(".columns li")
            await expect(columns).to_have_count(5)
            await expect(page.locator(".columns li.worst")).to_have_count(1)
            worst = page.get_by_role("button", name=re.compile("Turn 3, the worst: 2,686 ms"))
            assert "model 1,700 ms, voice 450 ms" in (await worst.inner_text())
            plot = await page.locator(".bars .scale").bounding_box()
            tall = await page.locator(".columns li.worst .stack").bounding_box()
            assert plot and tall
            assert tall["height"] / plot["height"] == pytest.approx(2686 / 3000, abs=0.02)
            model = await page.locator(".columns li.worst .stage.model").bounding_box()
            assert model and model["height"] / tall["height"] == pytest.approx(
                1700 / 2686, abs=0.02
            )
            await columns.nth(4).locator("button").click()
            await expect(page.locator("[data-n='5']")).to_be_in_viewport()


async def test_the_sound_is_drawn_where_it_was(browser: Browser) -> None:
    async with console() as world:
        finished_call(world, SID)
        async with page_of(browser, world) as page:
            await expect(page.locator("audio")).to_be_visible()
            screen = await page.context.new_cdp_session(page)

            async def inked(at_s: float, side: int) -> float:
                lane = (0.11, 0.55) if side == 0 else (0.56, 0.96)
                return float(await page.evaluate(INKED, [at_s / 26.5, *lane]))

            for ratio in (1, 2):
                size = {"width": 1000 + ratio, "height": 800, "mobile": False}
                metrics = size | {"deviceScaleFactor": ratio}
                await screen.send("Emulation.setDeviceMetricsOverride", metrics)
                await true(page, f"{SHARPNESS} === {ratio}")
                # The loudest moments, the silence before them, and where all was cleared.
                assert await inked(2.49, 0) > 0.4 and await inked(2.49, 1) < 0.1
                assert await inked(5.38, 1) > 0.4 and await inked(5.38, 0) < 0.1
                assert await inked(1.7, 0) < 0.1 and await inked(1.7, 1) < 0.1
                assert await inked(9.42, 1) > 0.9


async def test_it_is_drawn_anew_when_the_page_or_the_light_changes(browser: Browser) -> None:
    colour = """() => {
      const canvas = document.querySelector("canvas");
      const y = Math.round(canvas.height * 0.33);
      return [canvas.width, ...canvas.getContext("2d").getImageData(2, y, 1, 1).data];
    }"""
    async with console() as world:
        finished_call(world, SID)
        async with page_of(browser, world) as page:
            await page.emulate_media(color_scheme="light")
            await expect(page.locator("audio")).to_be_visible()
            before = await page.evaluate(colour)
            await page.emulate_media(color_scheme="dark")
            await true(page, f"({colour})()[1] !== {before[1]}")
            await page.set_viewport_size({"width": 390, "height": 844})
            await true(page, f"({colour})()[0] < {before[0]}")


async def test_it_plays_and_is_sought_by_mouse_and_keys(browser: Browser) -> None:
    async with console() as world:
        finished_call(world, SID)
        async with page_of(browser, world) as page:
            slider = page.get_by_role("slider", name="Position in the recording")
            now = "document.querySelector('audio').currentTime"
            await true(page, "document.querySelector('audio')?.duration === 26.5")
            await slider.press("ArrowRight")
            await slider.press("ArrowRight")
            await slider.press("ArrowLeft")
            assert await page.evaluate(now) == 5
            await expect(slider).to_have_attribute("aria-valuetext", "0:05 of 0:26")
            box = await slider.bounding_box()
            assert box
            await slider.click(position={"x": box["width"] / 2, "y": 40})
            assert await page.evaluate(now) == pytest.approx(13.25, abs=0.1)
            await true(page, f"Math.abs({CURSOR_AT} - 0.5) < 0.003")
            await slider.press(" ")
            await true(page, f"{now} > 13.6")
            await slider.press("End")
            await true(page, "document.querySelector('audio').ended")
            assert await page.evaluate("urls.size") == 1
            await page.click("text=All calls")
            await true(page, "urls.size === 0")


async def test_a_player_without_ulaw_gets_pcm(browser: Browser) -> None:
    async with console() as world:
        finished_call(world, SID)
        async with page_of(browser, world) as page:
            await true(page, "document.querySelector('audio')?.duration === 26.5")
            n_octets, text = await page.evaluate(BLOB)
            assert n_octets == 44 + 212_000 * 2
            assert base64.b64decode(text)[20:22] == b"\x07\x00"
            await page.evaluate("document.querySelector('audio').dispatchEvent(new Event('error'))")
            n_octets, text = await page.evaluate(BLOB)
            assert n_octets == 44 + 212_000 * 4
            pcm = base64.b64decode(text)
            assert pcm[20:24] == b"\x01\x00\x02\x00"
            assert pcm[44:] == ulaw_decode(world.recordings[SID][58:])[: len(pcm) - 44]
            await true(page, "document.querySelector('audio').duration === 26.5")
            assert await page.evaluate("urls.size") == 1


async def test_a_recording_that_is_gone(browser: Browser) -> None:
    async with console() as world:
        finished_call(world, SID)
        del world.recordings[SID]
        async with page_of(browser, world, SID, *LOST) as page:
            told = page.locator(".call [role=status]")
            await expect(told).to_have_text(re.compile("No recording can be shown. It is not kept"))
            await expect(page.locator("audio")).to_have_count(0)


async def test_a_long_recording_is_fetched_when_it_is_asked_for(browser: Browser) -> None:
    async with console() as world:
        finished_call(world, SID).duration_ms = 3_600_000
        async with page_of(browser, world) as page:
            button = page.get_by_role("button", name="Load the recording (about 58 MB)")
            await button.click()
            await expect(page.locator("audio")).to_be_visible()
            await expect(button).to_have_count(0)


async def test_a_recording_is_read_whatever_its_head_says_of_its_length(
    browser: Browser,
) -> None:
    stereo = bytes(range(256))
    whole = [8000, 128, list(stereo)]
    junk = b"LIST" + (4).to_bytes(4, "little") + b"abcd"
    extra = wav(stereo[:-1] + b"\xff")[:58] + stereo + junk
    cases: list[tuple[bytes, Any]] = [
        (b"", "0 octets that are no WAV"),
        (b"RIFF" + bytes(40), "44 octets that are no WAV"),
        (wav(stereo)[:30], "without its format or its samples"),
        (wav(stereo)[:58], [8000, 0, []]),
        (wav(stereo).replace(b"\x07\x00\x02", b"\x01\x00\x02"), "needed format 7"),
        (wav(stereo), whole),
        (wav(stereo, 0), whole),
        (wav(stereo, 100), whole),
        (wav(stereo, 0xFFFFFFFF), whole),
        (wav(stereo, 100_000), whole),
        (wav(stereo) + b"\x00", [8000, 128, list(stereo)]),
        (wav(stereo)[:-1], [8000, 127, list(stereo[:-2])]),
        (extra, whole),
    ]
    async with console() as world, opened(browser, world.url) as watched:
        for octets, wanted in cases:
            found = await watched.page.evaluate(PARSE, list(octets))
            if isinstance(wanted, str):
                assert wanted in found, octets
            else:
                assert found == wanted, octets
        table = await watched.page.evaluate("async () => [...(await import('/page/wav.js')).ULAW]")
        decoded = ulaw_decode(stereo)
        assert table == [
            int.from_bytes(decoded[at : at + 2], "little", signed=True) for at in range(0, 512, 2)
        ]
