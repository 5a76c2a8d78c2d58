from collections.abc import Callable
from typing import Any

import uvloop


def pytest_asyncio_loop_factories(config: Any, item: Any) -> dict[str, Callable[[], Any]]:
    """Run these as the server runs."""
    return {"uvloop": uvloop.new_event_loop}
