"""The files of the console's page: read once, sent whole, or not again where a browser has them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from importlib.resources import files
from typing import Final

from voice_ai.server.console import Console
from voice_ai.server.http import Request, Response, Routes

FRONT: Final = "index.html"
# What the page that asks for the password needs, too; nothing private is in it.
PUBLIC: Final = frozenset({"style.css", "icon.svg"})
# By the end of a file's name. A browser takes modules and worklets for nothing else (nosniff).
TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
# Kept by browsers but asked about each time: no page meets a script of another version.
CACHED: Final = "no-cache"
# Octets of a file's tag.
TAG_OCTETS: Final = 12


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the page: its octets, their type, and the tag that changes with them."""

    body: bytes
    content_type: str
    tag: str

    def answer(self, request: Request) -> Response:
        """Return the file, or 304 to who has it (RFC 9110 section 13.1.2)."""
        headers = {"ETag": self.tag, "Cache-Control": CACHED}
        shown = request.headers.get("If-None-Match").split(",")
        if any(tag.strip().removeprefix("W/") in ("*", self.tag) for tag in shown):
            return Response(304, headers=headers)
        return Response(200, self.body, self.content_type, headers)


def read_assets() -> dict[str, Asset]:
    """Return every file of the page by its name. It reads the disk: not for the event loop."""
    found = {}
    for file in files("voice_ai.server").joinpath("page").iterdir():
        kind = TYPES.get(file.name.rpartition(".")[2])
        if kind is None:
            continue
        body = file.read_bytes()
        tag = f'"{blake2b(body, digest_size=TAG_OCTETS).hexdigest()}"'
        found[file.name] = Asset(body, kind, tag)
    return found


class Assets:
    """The routes of the page and its files: for who may see the console."""

    def __init__(self, assets: Mapping[str, Asset], console: Console) -> None:
        self._assets = assets
        self._console = console

    def add_to(self, routes: Routes) -> None:
        """Add the page at `/` and its files below `/page/`; who watches a drain sees it, too."""
        routes.add("/", while_draining=True, GET=self.front_page)
        for name in self._assets:
            if name != FRONT:
                routes.add(f"/page/{name}", while_draining=True, GET=partial(self.file, name))

    async def front_page(self, request: Request) -> Response:
        """Answer the page, or the way to the password."""
        return self._console.refuse_page(request) or self._assets[FRONT].answer(request)

    async def file(self, name: str, request: Request) -> Response:
        """Answer a file of the page's."""
        refusal = None if name in PUBLIC else self._console.refuse(request)
        return refusal or self._assets[name].answer(request)
