"""The console's door: who has the password comes in, from wherever; nobody else does."""

import hashlib
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from serving import PUBLIC_URL, World, serving
from voice_ai.server.console import ATTEMPTS, Console, Keys
from voice_ai.server.http import Headers, Request
from voice_ai.server.passes import HOLDS_S, Passes

PASSWORD = "correct horse battery"
TOKEN = "metrics-token-of-ours"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def request(method: str = "GET", path: str = "/", body: bytes = b"", **headers: str) -> Request:
    named = {"Host": "phone.example.com", "X-Forwarded-For": "203.0.113.9"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method, path, headers=Headers(named.items()), body=body, peer="127.0.0.1")


def console(clock: Clock | None = None, **keys: Any) -> Console:
    time = clock or Clock()
    fields = {"password": SecretStr(PASSWORD), "public_url": PUBLIC_URL, "is_secure": True}
    return Console(Keys(**(fields | keys)), now=time, clock=time)


async def logged_in(made: Console, password: str = PASSWORD, **headers: str) -> Any:
    body = f"password={password.replace(' ', '+')}".encode()
    return await made.login(request("POST", "/login", body, **headers))


def cookie(answer: Any) -> str:
    return str(answer.headers["Set-Cookie"].partition(";")[0])


# Passes.


def test_an_empty_pass_and_other_rubbish_hold_nothing() -> None:
    passes = Passes(PASSWORD)
    good = passes.issue(0.0)
    for shown in (
        "",
        ".",
        "..",
        "1",
        good[:-1],
        good + "0",
        "9" + good,
        "é.é",
        "\ud83d.x",
        "9" * 999,
    ):
        assert not passes.holds(shown, 0.0)
    assert passes.holds(good, 0.0) and passes.holds(good, HOLDS_S - 1)
    assert not passes.holds(good, HOLDS_S)
    assert not Passes(PASSWORD + "!").holds(good, 0.0)


def test_a_pass_of_another_time_is_not_ours_though_its_seal_was() -> None:
    passes = Passes(PASSWORD)
    _, _, seal = passes.issue(0.0).partition(".")
    until = str(int(10 * HOLDS_S))
    assert not passes.holds(f"{until}.{seal}", 0.0)
    plain_hash = hashlib.sha256(until.encode()).hexdigest()
    assert not passes.holds(f"{until}.{plain_hash}", 0.0)


@pytest.mark.parametrize("shown", ["", PASSWORD[:-1], PASSWORD + " ", "\ud83d", "é" * 9])
def test_only_the_password_opens(shown: str) -> None:
    assert not Passes(PASSWORD).opens(shown) and Passes(PASSWORD).opens(PASSWORD)


# The door.


async def test_without_a_password_there_is_none_to_give() -> None:
    made = console(password=None)
    for refuse in (made.refuse, made.refuse_page, made.refuse_browser, made.refuse_metrics):
        answer = refuse(request())
        assert answer is not None and answer.status == 403
    assert (
        made.refuse(Request("GET", "/", headers=Headers([("Host", "localhost")]), peer="::1"))
        is None
    )


async def test_who_gives_the_password_comes_in_until_the_pass_is_over() -> None:
    clock = Clock()
    made = console(clock)
    page = made.refuse_page(request())
    assert page is not None and (page.status, page.headers["Location"]) == (303, "/login")
    answer = await logged_in(made, Origin=PUBLIC_URL)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    kept = SimpleCookie(answer.headers["Set-Cookie"])["__Host-console"]
    assert (kept["httponly"], kept["samesite"], kept["secure"], kept["path"]) == (
        True,
        "Strict",
        True,
        "/",
    )
    shown = request(Cookie=f"other=1; {cookie(answer)}; broken")
    for refuse in (made.refuse, made.refuse_page, made.refuse_browser, made.refuse_metrics):
        assert refuse(shown) is None
    clock.now += HOLDS_S
    assert made.refuse(shown) is not None


async def test_without_tls_the_cookie_is_a_plain_one() -> None:
    answer = await logged_in(console(is_secure=False, public_url=None))
    assert "Secure" not in answer.headers["Set-Cookie"] and cookie(answer).startswith("console=")


async def test_attempts_are_few() -> None:
    clock = Clock()
    made = console(clock)
    wrong = [(await logged_in(made, "wrong")).status for _ in range(8)]
    assert wrong == [401] * int(ATTEMPTS.burst) + [429] * 3
    assert (await logged_in(made)).status == 429  # the right one is not told from a wrong one
    other = await logged_in(made, X_Forwarded_For="198.51.100.7")
    assert other.status == 303
    clock.now += 1 / ATTEMPTS.per_s
    assert (await logged_in(made)).status == 303


async def test_attempts_of_many_clients_are_bounded_together() -> None:
    made = console()
    tried = [await logged_in(made, "x", X_Forwarded_For=f"203.0.113.{n}") for n in range(40)]
    assert [one.status for one in tried].count(429) == 10


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "https://phone.example.com.evil"]
)
async def test_another_sites_page_may_nothing(origin: str) -> None:
    made = console()
    shown = cookie(await logged_in(made))
    assert (await logged_in(made, Origin=origin)).status == 403
    refused = made.refuse_browser(request(Cookie=shown, Origin=origin))
    assert refused is not None and refused.status == 403


async def test_a_form_without_end_is_none() -> None:
    answer = await console().login(request("POST", "/login", b"&".join([b"a=b"] * 99)))
    assert answer.status == 400


@pytest.mark.parametrize(
    ("shown", "status"),
    [("", 401), ("Bearer", 401), ("Bearer wrong", 401), (f"Bearer {TOKEN}", None)],
)
def test_metrics_have_a_token(shown: str, status: int | None) -> None:
    made = console(password=None, metrics_token=SecretStr(TOKEN))
    refused = made.refuse_metrics(request(Authorization=shown))
    assert (refused.status if refused else None) == status


# The whole server.


async def statuses(world: World, **headers: str) -> list[int]:
    async with httpx.AsyncClient(base_url=world.app.url, trust_env=False) as http:
        paths = ("/", "/api/calls", "/metrics")
        return [(await http.get(path, headers=headers)).status_code for path in paths]


async def test_the_whole_way_through_the_page_to_a_call() -> None:
    stranger = {"X-Forwarded-For": "203.0.113.9", "Host": "phone.example.com"}
    async with serving(console_password=PASSWORD, metrics_token=TOKEN) as world:
        assert await statuses(world) == [200, 200, 200]  # this machine; so scrapes Prometheus
        assert await statuses(world, **stranger) == [303, 403, 401]
        async with httpx.AsyncClient(base_url=world.app.url, trust_env=False) as http:
            page = await http.get("/login", headers=stranger)
            policy = page.headers["content-security-policy"]
            assert "default-src 'self'" in policy and "unsafe" not in policy
            assert "<script" not in page.text and "style=" not in page.text
            assert page.headers["x-content-type-options"] == "nosniff"
            assert page.headers["referrer-policy"] == "no-referrer"
            own = stranger | {"Origin": PUBLIC_URL}
            answer = await http.post("/login", data={"password": PASSWORD}, headers=own)
        known = stranger | {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
        assert await statuses(world, **known) == [200, 200, 200]
        url = world.app.url.replace("http", "ws", 1) + "/ws/browser"
        about = {name: value for name, value in known.items() if name != "Host"}
        for headers, origin in ((about, "https://evil.example"), ({"X-Forwarded-For": "x"}, None)):
            with pytest.raises(InvalidStatus, match="403"):
                async with connect(url, additional_headers=headers, origin=origin):  # type: ignore
                    pass
        async with connect(url, additional_headers=about, origin=PUBLIC_URL) as websocket:  # type: ignore
            assert '"event":"start"' in str(await websocket.recv(decode=True))


async def test_without_a_password_there_is_no_page_for_it() -> None:
    async with serving() as world, httpx.AsyncClient(base_url=world.app.url) as http:
        assert (await http.get("/login")).status_code == 404
        answer = await http.get("/none")
        assert answer.headers["x-content-type-options"] == "nosniff"
