"""The page in a real browser: what it loads, what it says when a call cannot be had."""

import asyncio
from typing import Any

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.async_api import Browser, Page, WebSocketRoute

from browser.chrome import ALLOWED, FAKE_DEVICE, Watched, chrome, opened, until
from serving import World, serving
from voice_ai.server.assets import read_assets

# What the page may weigh in all, and what it is meant to.
MAX_OCTETS = 150_000

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def live(world: World, n_calls: int) -> None:
    async with asyncio.timeout(10):
        while world.app._calls.n_live != n_calls:
            await asyncio.sleep(0.02)


async def problem(page: Page, words: str) -> None:
    """Wait until the page says what is wrong, with the button ready for another try."""
    await until(page, "#problem", words)
    await until(page, "#call", "Call")


async def test_it_loads_from_one_port_and_weighs_little(browser: Browser) -> None:
    async with serving() as world, opened(browser, world.app.url) as watched:
        page = watched.page
        answer = await page.reload()
        assert answer is not None
        policy = await answer.header_value("content-security-policy")
        assert policy is not None and "unsafe" not in policy
        assert await page.title() == "voice_ai"
        await until(page, "#state", "ready")
        await until(page, "#foot", "/incoming-call")
        entries = await page.evaluate(
            "performance.getEntriesByType('resource').map(entry => entry.name)"
        )
        assert any(name.endswith("/page/turns.js") for name in entries)
        assert sum(len(asset.body) for asset in read_assets().values()) < MAX_OCTETS
        inline = "document.querySelectorAll('[style], style, script:not([src])').length"
        assert await page.evaluate(inline) == 0


async def test_the_keyboard_reaches_all_of_it(browser: Browser) -> None:
    async with serving() as world, opened(browser, world.app.url) as watched:
        page = watched.page
        seen = []
        for _ in range(8):
            await page.keyboard.press("Tab")
            seen.append(await page.evaluate("document.activeElement.textContent.trim()"))
        assert seen[:6] == ["Skip to the page", "Talk", "Calls", "Call", "Mute", ""]
        await page.goto(f"{world.app.url}/#/calls")
        await until(page, "h1", "Calls")
        assert await page.get_attribute("nav a[data-page=calls]", "aria-current") == "page"


async def test_a_second_click_hangs_up_even_during_the_greeting(browser: Browser) -> None:
    async with serving() as world, opened(browser, world.app.url) as watched:
        page = watched.page
        await page.click("#call")
        await live(world, 1)
        await page.click("#call")
        await until(page, ".phase", "The call is over")
        await live(world, 0)
        for _ in range(3):  # faster than anything can be opened
            await page.click("#call")
        await until(page, "#call", "Hang up")
        await live(world, 1)
        await page.close()
        await live(world, 0)
        assert world.app._calls.records()[0].reason == "the caller hung up"


async def test_leaving_for_another_page_ends_the_call(browser: Browser) -> None:
    async with serving() as world, opened(browser, world.app.url) as watched:
        await watched.page.click("#call")
        await live(world, 1)
        await watched.page.click("nav >> text=Calls")
        await live(world, 0)


@pytest.mark.parametrize(
    ("options", "why"),
    [((FAKE_DEVICE,), "The microphone was not allowed."), ((ALLOWED,), "There is no microphone.")],
    ids=["denied", "none"],
)
async def test_without_a_microphone_words_are_typed(
    chromium: str, options: tuple[str, ...], why: str
) -> None:
    async with (
        serving() as world,
        chrome(chromium, *options) as browser,
        opened(browser, world.app.url) as watched,
    ):
        page = watched.page
        await page.fill("#words", "What time is it?")
        await page.keyboard.press("Enter")
        await until(page, "#problem", f"{why} You can type instead.")
        await until(page, ".turn[data-n='1'] .agent", "I heard: What time is it")
        await page.fill("#words", "Thank you.")
        await page.click("text=Send")
        await until(page, ".turn[data-n='2'] .agent", "I heard: Thank you")


async def test_all_lines_are_busy(browser: Browser) -> None:
    async with serving() as world, opened(browser, world.app.url) as watched:
        world.app._admission.limit = 0
        await watched.page.click("#call")
        await problem(watched.page, "All lines are busy")
        world.app._admission.limit = 5
        await watched.page.click("#call")
        await live(world, 1)
        await until(watched.page, "#call", "Hang up")
        assert not await watched.page.is_visible("#problem")


async def test_a_server_that_is_not_ready_says_why(browser: Browser) -> None:
    async with serving() as world, opened(browser, world.app.url) as watched:
        world.app._readiness.unset("loading its models")
        await watched.page.reload()
        await until(watched.page, "#state", "loading its models")
        await watched.page.click("#call")
        await problem(watched.page, "no calls are taken: loading its models")


async def test_no_audio_at_all(browser: Browser) -> None:
    script = "delete globalThis.AudioContext;"
    async with serving() as world, opened(browser, world.app.url, script=script) as watched:
        await watched.page.click("#call")
        await problem(watched.page, "cannot play or record here")


async def test_another_tab_has_a_call(browser: Browser) -> None:
    async with serving() as world, opened(browser, world.app.url) as watched:
        await watched.page.click("#call")
        await live(world, 1)
        other = await watched.page.context.new_page()
        await other.goto(world.app.url)
        await other.click("#call")
        await problem(other, "Another tab of this page is in a call.")
        await watched.page.click("#call")
        await live(world, 0)
        await other.click("#call")
        await live(world, 1)


class FakeLine:
    """The server's side of a page's websocket, held by the test."""

    def __init__(self) -> None:
        self.said: list[str | bytes] = []
        self.route: WebSocketRoute | None = None

    async def hold(self, page: Page) -> None:
        await page.route_web_socket("**/ws/browser", self._open)

    def _open(self, route: WebSocketRoute) -> None:
        self.route = route
        route.on_message(lambda message: self.said.append(message))
        route.send('{"event":"start","call_sid":"BR1","rate_hz":16000}')

    @property
    def marks(self) -> list[str]:
        return [one for one in self.said if isinstance(one, str)]

    async def until(self, n: int, within_s: float = 5.0) -> float:
        """Wait for so many marks; return how long it took."""
        begun = asyncio.get_running_loop().time()
        async with asyncio.timeout(within_s):
            while len(self.marks) < n:
                await asyncio.sleep(0.01)
        return asyncio.get_running_loop().time() - begun


async def faked(watched: Watched) -> tuple[FakeLine, Any]:
    line = FakeLine()
    await line.hold(watched.page)
    await watched.page.click("#call")
    await until(watched.page, "#phase", "Connected")
    assert line.route is not None
    return line, line.route.send


async def test_a_mark_goes_back_when_all_before_it_was_played_and_at_once_on_clear(
    browser: Browser,
) -> None:
    async with serving() as world, opened(browser, world.app.url) as watched:
        line, send = await faked(watched)
        tone = (b"\x00\x20" * 8 + b"\x00\xe0" * 8) * 1000  # 1 s
        send('{"event":"mark","name":"nothing"}')
        assert await line.until(1) < 0.5
        send(tone)
        send('{"event":"mark","name":"one"}')
        assert 0.9 < await line.until(2) < 1.6
        send(tone * 20)
        send('{"event":"mark","name":"two"}')
        send('{"event":"mark","name":"three"}')
        await asyncio.sleep(0.3)
        assert len(line.marks) == 2
        send('{"event":"clear"}')
        assert await line.until(4) < 0.3
        assert [mark[mark.index("name") :] for mark in line.marks] == [
            f'name":"{name}"}}' for name in ("nothing", "one", "two", "three")
        ]
        await asyncio.sleep(0.5)
        played = await watched.played()
        assert abs(played[-800:]).max() == 0, "the sound goes on after the clear"
        assert len(played.nonzero()[0]) > 8000


async def test_the_microphone_is_sent_in_messages_of_20_ms_and_silence_when_muted(
    browser: Browser,
) -> None:
    async with serving() as world, opened(browser, world.app.url) as watched:
        line, _ = await faked(watched)
        await watched.page.click("#mute")
        await asyncio.sleep(1.0)
        sound = [one for one in line.said if isinstance(one, bytes)]
        assert {len(one) for one in sound} == {640}
        assert 40 <= len(sound) <= 90  # Chromium's clock, and the time of the clicks
        assert not any(sound[-1]) and not any(sound[-10])


async def test_a_connection_that_is_lost(browser: Browser) -> None:
    async with serving() as world, opened(browser, world.app.url) as watched:
        line, _ = await faked(watched)
        assert line.route is not None
        await line.route.close(code=1011, reason="an error of ours")
        await problem(watched.page, "The call broke off by a fault of the server's")


async def test_a_server_that_is_gone(browser: Browser) -> None:
    refused = ("ERR_CONNECTION_REFUSED",)
    async with serving() as world:
        async with opened(browser, world.app.url, wrong=refused) as watched:
            await world.app._bound.__aexit__(None, None, None)
            await watched.page.click("#call")
            await problem(watched.page, "The server was not reached")
