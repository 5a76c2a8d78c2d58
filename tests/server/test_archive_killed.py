"""A server that is killed in the middle of its calls has kept each turn that was over."""

import asyncio
import random
import signal
import sys
from pathlib import Path

import pytest

from archived import archive, rows, until, until_kept

TESTS = Path(__file__).parents[1]
PROGRAM = """
import asyncio, sys, time
from collections import deque
from pathlib import Path
from archived import archive, begin, say

async def main():
    handed = deque()
    async with archive(Path(sys.argv[1])) as kept:
        records = [begin(kept, f"CA{number}") for number in range(5)]
        while True:
            for record in records:
                turn = say(record, f"turn {len(record.turns) + 1}")
                handed.append((time.perf_counter(), record.call.call_sid, turn.n))
            await asyncio.sleep(0.01)
            while handed and handed[0][0] < time.perf_counter() - 0.2:
                _, sid, n = handed.popleft()
                print(sid, n, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("round_", range(20))
async def test_each_turn_that_was_over_is_there(tmp_path, round_):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, str(tmp_path)),
        env={"PYTHONPATH": f"{TESTS}:{TESTS.parent / 'src'}"},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        told = [(await process.stdout.readline()).split()]
        try:
            async with asyncio.timeout(random.Random(round_).uniform(0, 0.3)):
                while line := await process.stdout.readline():
                    told.append(line.split())
        except TimeoutError:
            pass
        process.send_signal(signal.SIGKILL)
        told += [line.split() for line in (await process.stdout.read()).splitlines()]
        await process.wait()
    there = "SELECT call_sid, n FROM turns WHERE json_extract(facts, '$.over')"
    kept_turns = set(rows(tmp_path, there))
    expected = {(sid.decode(), int(n)) for sid, n in told}
    assert expected and expected <= kept_turns
    async with archive(tmp_path) as kept:
        await until(lambda: rows(tmp_path, "SELECT 1 FROM calls WHERE ended_at NOT NULL"))
        found = await until_kept(kept, "CA0")
    assert found["turns"][0]["heard"] == "Noon." and found["turns"][0]["caller"] == "turn 1"
    assert found["ended"]
