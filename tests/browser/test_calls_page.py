"""The console's list of calls in a real browser: what it shows, and how often it asks."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise, product
from pathlib import Path
from typing import Any, Literal

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.async_api import Browser, Page, ViewportSize, expect

from browser.chrome import PATIENCE_S, opened
from browser.console_world import HOSTILE, World, console, finished_call, live_calls, turn

SID = "CA" + "f" * 32
PHONE: ViewportSize = {"width": 390, "height": 844}
DESKTOP: ViewportSize = {"width": 1280, "height": 800}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
LOST = ("Failed to load resource",)
ROWS = "tbody tr"
# The page says that nobody looks at it when a test does.
HIDING = "Object.defineProperty(document, 'hidden', {get: () => window.nobody_looks ?? false});"
HIDE = "is => { nobody_looks = is; document.dispatchEvent(new Event('visibilitychange')); }"
ASKING = """{
  const ask = fetch;
  window.asked_at = [];
  window.fetch = (url, ...more) => {
    if (url.startsWith("/api/calls")) asked_at.push(Date.now());
    return ask(url, ...more);
  };
}"""
FRAMES = """async (n_ms) => {
  const at = [];
  await new Promise((over) => requestAnimationFrame(function frame(now) {
    at.push(now);
    if (now - at[0] < n_ms) requestAnimationFrame(frame); else over();
  }));
  return at.slice(1).map((now, i) => now - at[i]);
}"""


pytestmark = pytest.mark.asyncio(loop_scope="module")
expect.set_options(timeout=PATIENCE_S * 1000)


@asynccontextmanager
async def list_of(browser: Browser, world: World, *wrong: str) -> AsyncIterator[Page]:
    async with opened(browser, world.url, script=HIDING + ASKING, wrong=wrong) as watched:
        await watched.page.goto(f"{world.url}/#/calls")
        yield watched.page


def over(world: World, number: int, **fields: Any) -> None:
    """Keep a call that is over."""
    named = {"caller": f"+1555020{number:04d}"} | fields
    record = world.memory.add(f"CB{number:032d}", 1.6e9 + number, **named)
    record.end()
    record.duration_ms, record.reason = 65_000 + number, "the caller hung up"


async def asked(world: World, n: int) -> None:
    async with asyncio.timeout(10):
        while len(world.asked) < n:
            await asyncio.sleep(0.01)


async def waits_ms(page: Page) -> list[float]:
    """Return the times between the page's asking for the calls, by its own clock.

    A clock that is installed goes on by itself, and further on a busy machine.
    """
    at_ms = await page.evaluate("asked_at")
    return [later - sooner for sooner, later in pairwise(at_ms)]


async def test_nobody_has_called(browser: Browser) -> None:
    async with console() as world, list_of(browser, world) as page:
        await expect(page.locator(".empty")).to_contain_text("Nobody has called yet.")
        assert await page.locator("section:visible").count() == 0
        await page.click("text=Talk to it here")
        await expect(page.locator("nav a[data-page=talk]")).to_have_attribute(
            "aria-current", "page"
        )


async def test_who_may_not_see_it_is_asked_for_the_password(browser: Browser) -> None:
    async with console() as world:
        world.refuses_with = 403
        async with list_of(browser, world, *LOST) as page:
            await page.wait_for_url(f"{world.url}/login")


async def test_it_asks_once_a_second_and_not_while_nobody_looks(browser: Browser) -> None:
    async with console() as world, list_of(browser, world) as page:
        await page.clock.install()
        await page.reload()
        world.asked.clear()
        for n in (1, 2, 3):
            await asked(world, n)
            await expect(page.locator(".empty")).to_be_visible()
            await page.clock.run_for(1000)
        await asked(world, 4)
        waits = await waits_ms(page)
        assert len(waits) >= 3 and min(waits) >= 1000
        await page.evaluate(HIDE, True)
        n_asked = len(world.asked)
        await page.clock.run_for(60_000)
        assert len(world.asked) <= n_asked + 1  # one may have been on its way
        n_asked = len(world.asked)
        await page.clock.run_for(60_000)
        assert len(world.asked) == n_asked
        await page.evaluate(HIDE, False)
        await asked(world, n_asked + 1)
        await page.goto(f"{world.url}/#/")
        n_asked = len(world.asked)
        await page.clock.run_for(60_000)
        assert len(world.asked) <= n_asked + 1
        assert set(world.asked) == {"/api/calls?limit=50"}


async def test_a_lost_connection_takes_nothing_away_and_is_found_again(browser: Browser) -> None:
    async with console() as world:
        over(world, 1)
        async with list_of(browser, world, *LOST) as page:
            await page.clock.install()
            await page.reload()
            await expect(page.locator(ROWS)).to_have_count(1)
            n_well = len(await waits_ms(page)) + 1
            world.refuses_with = 503
            await page.clock.run_for(1000)
            await expect(page.locator(".alert")).to_contain_text("Connection lost; trying again.")
            await expect(page.locator(".alert")).to_contain_text("What is shown is from")
            assert await page.locator(ROWS).count() == 1
            n_asked = len(world.asked)
            world.refuses_with = 0
            await page.clock.run_for(2000)
            await asked(world, n_asked + 1)
            await expect(page.locator(".alert")).to_be_hidden()
            # The second try waits for twice the time.
            assert (await waits_ms(page))[n_well] >= 2000


async def test_rows_change_in_place(browser: Browser) -> None:
    async with console() as world:
        for number in range(45):
            world.memory.add(f"CA{number:032d}", 1.7e9 + number, caller=f"caller {number}")
        async with list_of(browser, world) as page:
            link = page.locator("a", has_text=re.compile("^caller 30$"))
            await link.evaluate("link => { link.closest('tr').mine = true; link.focus(); }")
            top = await link.evaluate("link => link.getBoundingClientRect().top")
            assert await page.evaluate("scrollY") > 0
            record = world.memory.find(f"CA{30:032d}")
            assert record is not None
            world.memory.add("CA" + "e" * 32, 1.8e9, caller="the newest")
            record.phase = "the caller speaks"
            turn(record, "Hello?", "Yes?", 200, 10, 1500, 900, 5)
            row = link.locator("xpath=ancestor::tr")
            await expect(row).to_contain_text("caller speaks")
            await expect(row.locator(".of-worst")).to_have_text("2,615 ms")
            await expect(row.locator(".of-worst")).to_have_class(re.compile("slow"))
            await expect(page.locator("text=the newest")).to_be_visible()
            assert await row.evaluate("row => row.mine") is True
            await expect(link).to_be_focused()
            moved = await link.evaluate("link => link.getBoundingClientRect().top") - top
            assert abs(moved) < 4
            record.reason = "the caller said nothing"
            record.end()
            await expect(page.locator("section:last-of-type tbody")).to_contain_text("said nothing")
            await expect(link).to_be_focused()
            assert await link.count() == 1
            world.memory.kept.remove(record)
            await expect(link).to_have_count(0)


async def test_the_time_of_a_call_only_goes_on(browser: Browser) -> None:
    async with console() as world:
        world.memory.add(SID, 1.7e9)
        async with list_of(browser, world) as page:
            await expect(page.locator("td.of-lasts")).to_be_visible()
            await page.evaluate("""() => {
              window.shown = [];
              new MutationObserver(([change]) => shown.push(change.target.textContent))
                .observe(document.querySelector("td.of-lasts"), {childList: true});
            }""")
            async with asyncio.timeout(15):
                while len(shown := await page.evaluate("shown")) < 5:
                    await asyncio.sleep(0.05)
            assert shown == sorted(set(shown))


async def test_older_calls_are_asked_for(browser: Browser) -> None:
    async with console() as world:
        for number in range(120):
            over(world, number)
        world.memory.add(SID, 1.5e9, caller="older than all of them")
        async with list_of(browser, world) as page:
            rows = page.locator("section:last-of-type tbody tr")
            older = page.get_by_role("button", name="Older calls")
            await expect(page.locator("text=older than all of them")).to_be_visible()
            await expect(rows).to_have_count(50)
            await older.click()
            await expect(rows).to_have_count(99)
            await older.click()
            await expect(rows).to_have_count(120)
            await expect(older).to_be_hidden()
            over(world, 200)  # what was asked for stays, whatever is newer
            await expect(rows).to_have_count(121)
            await expect(rows.first).to_contain_text("+15550200200")
            await expect(older).to_be_hidden()


async def test_finished_calls_are_shown_beside_however_many_live_ones(browser: Browser) -> None:
    async with console() as world:
        for number in range(60):
            world.memory.add(f"CA{number:032d}", 1.7e9 + number)
            over(world, number)
        async with list_of(browser, world) as page:
            await expect(page.locator("section:last-of-type tbody tr")).to_have_count(50)
            await expect(page.locator(ROWS)).to_have_count(110)
            await expect(page.locator(".count")).to_have_text("60")


async def test_thirty_calls_at_sixty_frames_a_second(browser: Browser) -> None:
    async with console() as world, asyncio.TaskGroup() as group:
        calls = group.create_task(live_calls(world, 30, 0.3))
        async with list_of(browser, world) as page:
            await expect(page.locator(ROWS)).to_have_count(30)
            n_asked = len(world.asked)
            frames = sorted(await page.evaluate(FRAMES, 3000))
            assert frames[len(frames) // 2] < 20
            assert frames[len(frames) * 95 // 100] < 50
            assert 2 <= len(world.asked) - n_asked <= 4
            texts = await page.locator("td.of-turns").all_inner_texts()
            assert all(int(text) >= 2 for text in texts)
        calls.cancel()


async def test_it_fits_a_desk_and_a_phone_by_day_and_night(
    browser: Browser, tmp_path: Path
) -> None:
    """The pictures are left to look at, in pytest's folder of this test."""
    async with console() as world, asyncio.TaskGroup() as group:
        calls = group.create_task(live_calls(world, 4, 0.5))
        finished_call(world, SID)
        over(world, 1, answered_by="machine_end_beep", voicemail="Please call us back.")
        over(world, 2, failures=["stt"], caller=HOSTILE + "x" * 60)
        async with list_of(browser, world) as page:
            for route, size in product(("calls", f"call/{SID}"), (DESKTOP, PHONE)):
                await page.set_viewport_size(size)
                await page.goto(f"{world.url}/#/{route}")
                ready = "section:last-of-type tbody tr" if route == "calls" else "audio"
                await expect(page.locator(ready).first).to_be_visible()
                assert await page.locator("main img, main script").count() == 0
                wide = await page.evaluate("document.documentElement.scrollWidth")
                assert wide == size["width"], (route, size)
                for scheme in SCHEMES:
                    await page.emulate_media(color_scheme=scheme)
                    name = f"{route[:5]}-{size['width']}-{scheme}.png".replace("/", "")
                    await page.screenshot(path=tmp_path / name, full_page=True)
        calls.cancel()
