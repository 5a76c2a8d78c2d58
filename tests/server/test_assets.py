"""The page's files: who gets them, as what, and when not again."""

from functools import partial

import httpx
import pytest
from pydantic import SecretStr

from serving import serving
from voice_ai.server.assets import FRONT, PUBLIC, TYPES, Asset, Assets, read_assets
from voice_ai.server.console import Console, Keys
from voice_ai.server.http import Headers, Request, Response, Route, Routes

HELD = Asset(b"text", TYPES["js"], '"abc"')


def request(**headers: str) -> Request:
    named = {"Host": "localhost"} | {name.replace("_", "-"): v for name, v in headers.items()}
    return Request("GET", "/", headers=Headers(named.items()), peer="127.0.0.1")


@pytest.mark.parametrize(
    ("shown", "status"),
    [("", 200), ("abc", 200), ('"ab"', 200), ('"abc"', 304), ('W/"abc"', 304), ("*", 304)]
    + [('"x", W/"abc"', 304)],
)
def test_a_file_is_sent_unless_the_browser_has_it(shown: str, status: int) -> None:
    answer = HELD.answer(request(If_None_Match=shown) if shown else request())
    assert answer.status == status
    assert answer.body == (b"text" if status == 200 else b"")
    assert answer.headers == {"ETag": '"abc"', "Cache-Control": "no-cache"}


def test_every_file_has_a_type_and_a_tag_of_its_own() -> None:
    assets = read_assets()
    assert {FRONT, *PUBLIC, "main.js", "speaker.worklet.js"} <= assets.keys()
    assert len({asset.tag for asset in assets.values()}) == len(assets)
    assert assets["main.js"].content_type == "text/javascript; charset=utf-8"
    assert all(asset.body and asset.content_type in TYPES.values() for asset in assets.values())


def test_nothing_inline_stands_in_the_page() -> None:
    text = read_assets()[FRONT].body.decode()
    assert "<style" not in text and " style=" not in text and " on" not in text.split("<body>")[1]
    assert text.count("<script") == text.count('src="/page/') == 1


async def test_only_what_the_login_page_needs_is_public() -> None:
    console = Console(Keys(password=SecretStr("correct horse")))
    routes = Routes()
    Assets(read_assets(), console).add_to(routes)
    stranger = Request("GET", "/", headers=Headers([("Host", "a.example")]), peer="192.0.2.1")

    async def ask(path: str, who: Request) -> Response:
        route = routes.find(path)
        assert isinstance(route, Route)
        return await route.methods["GET"](who)

    refused = partial(ask, who=stranger)
    assert (await refused("/")).headers["Location"] == "/login"
    for name in read_assets().keys() - {FRONT}:
        public = name in PUBLIC
        assert (await refused(f"/page/{name}")).status == (200 if public else 403)
        assert (await ask(f"/page/{name}", request())).status == 200
    assert (await ask("/", request())).content_type == TYPES["html"]
    assert routes.find(f"/page/{FRONT}") is None


async def test_the_page_comes_from_the_port_with_its_policy() -> None:
    async with serving() as world, httpx.AsyncClient(base_url=world.app.url) as http:
        answer = await http.get("/")
        assert answer.status_code == 200
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'self';")
        again = await http.get("/", headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert (await http.head("/page/style.css")).headers["Content-Type"] == TYPES["css"]
        assert (await http.get("/page/../pages.py")).status_code == 404
        assert (await http.get("/api/about")).json()["retention_s"] == 3600
