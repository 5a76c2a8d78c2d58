import asyncio
import threading

import pytest

from voice_ai.errors import ProviderError
from voice_ai.providers.local import workers as module
from voice_ai.providers.local.workers import Workers


@pytest.fixture
def workers():
    made = Workers("stt", "testing", 1)
    yield made
    made.close()


async def test_closed_workers_refuse(workers):
    workers.close()
    workers.close()
    with pytest.raises(ProviderError, match="testing") as caught:
        await workers.run(int)
    assert caught.value.stage == "stt" and not caught.value.retryable


async def test_a_failure_is_the_stages(workers):
    with pytest.raises(ProviderError, match="testing: ZeroDivisionError") as caught:
        await workers.run(divmod, 1, 0)
    assert caught.value.stage == "stt"


async def test_a_provider_error_stays_what_it_is(workers):
    def refuse() -> None:
        raise ProviderError("stt", "as it was", retryable=False)

    with pytest.raises(ProviderError, match="^as it was$") as caught:
        await workers.run(refuse)
    assert not caught.value.retryable


async def test_work_is_done_elsewhere(workers):
    assert await workers.run(threading.get_ident) != threading.get_ident()


async def test_closing_drops_what_waits_and_ends_what_runs(workers):
    running, go_on = threading.Event(), threading.Event()

    def work() -> str:
        running.set()
        go_on.wait(5)
        return "done"

    first, second = workers.submit(work), workers.submit(int)
    await asyncio.to_thread(running.wait, 5)
    async with asyncio.TaskGroup() as group:
        dropped = group.create_task(asyncio.to_thread(workers.close))
        with pytest.raises(ProviderError, match="closed"):
            await workers.result(second)
        go_on.set()
        assert await workers.result(first) == "done"
    assert dropped.done()


async def test_leaving_takes_a_waiting_job_out_of_the_queue(workers):
    go_on = threading.Event()
    first = workers.submit(go_on.wait, 5)
    second = workers.submit(int)
    async with asyncio.timeout(5):
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(workers.result(second))
            await asyncio.wait([waiting], timeout=0)
            waiting.cancel()
    assert second.cancelled()
    go_on.set()
    assert await workers.result(first) is True


async def test_a_full_queue_refuses_and_has_room_again(workers):
    go_on = threading.Event()
    jobs = [workers.submit(go_on.wait, 5) for _ in range(module.MAX_JOBS)]
    with pytest.raises(ProviderError, match=f"{module.MAX_JOBS} jobs wait"):
        workers.submit(int)
    go_on.set()
    assert await workers.result(jobs[-1])
    assert await workers.run(int) == 0


async def test_what_takes_too_long_is_given_up(workers, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_S", 0.01)
    go_on = threading.Event()
    try:
        with pytest.raises(ProviderError, match=r"nothing after 0\.01 s"):
            await workers.run(go_on.wait, 5)
    finally:
        go_on.set()
