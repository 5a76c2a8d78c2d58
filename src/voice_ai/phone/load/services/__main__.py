"""`python -m voice_ai.phone.load.services JSON`: the fake services as a process of their own.

It prints their addresses once it listens, as a line of JSON. Then it reads lines: `begin` forgets
what was measured so far, `end` is answered by the results in one line, the end of the input ends
the process.
"""

import asyncio
import gc
import os
import signal
import stat
import sys
from time import process_time

import orjson
import uvloop

from voice_ai.errors import UsageError
from voice_ai.phone.load.services.measured import Measured
from voice_ai.phone.load.services.plan import Plan, parse_plan
from voice_ai.phone.load.services.serving import serving


async def run(plan: Plan) -> None:
    """Serve until the input ends."""
    measured = Measured()
    async with serving(plan, measured) as addresses:
        loop = asyncio.get_running_loop()
        lines = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        gc.disable()  # a collection delays all that is served, and a load comes to an end
        _tell(addresses)
        while line := await lines.readline():
            match line.strip():
                case b"begin":
                    measured.begin(process_time())
                case b"end":
                    _tell(measured.results(process_time()))
                case unknown:
                    print(f"unknown command {unknown!r}; known are begin, end", file=sys.stderr)


def main() -> int:
    """Read the command line and serve; return the exit status."""
    # Ctrl-C reaches the whole process group; who started us ends our input in time.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        (text,) = sys.argv[1:] or ["{}"]
        plan = parse_plan(text)
        # libuv aborts the process on anything else.
        mode = os.fstat(sys.stdin.fileno()).st_mode
        if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
            raise UsageError("commands come through a pipe, and the input is none")
    except ValueError as error:  # UsageError is one
        print(error, file=sys.stderr)
        return 2
    uvloop.run(run(plan))
    return 0


def _tell(value: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(value) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
