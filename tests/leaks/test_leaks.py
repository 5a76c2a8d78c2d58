"""Nothing is left behind by a call: no memory, no reference, no hold on a buffer.

`make leaks` makes a million calls of each; plain pytest a few hundred.
"""

import ctypes
import gc
import importlib
import os
import pkgutil
import sys

import pytest

from leaks import growth
from leaks.calls import CALLS, Call
from voice_ai import codec

N_CALLS = int(os.environ.get("LEAK_CALLS", "300"))
# Less than the smallest thing that a call could leave behind: malloc's and Python's are 16 octets.
OCTETS_A_CALL = 8
# Pools of both allocators, once and for all.
OCTETS_AT_ONCE = 1 << 20

each_call = pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)


@pytest.fixture(scope="module", autouse=True)
def quick_collections():
    gc.freeze()
    yield
    gc.unfreeze()


def public_names():
    """Yield the functions, classes and methods of the compiled modules: `_module.name`."""
    for found in pkgutil.iter_modules(codec.__path__):
        module = importlib.import_module(f"voice_ai.codec.{found.name}")
        if not found.name.startswith("_") or module.__file__.endswith(".py"):
            continue
        for name, thing in vars(module).items():
            if getattr(thing, "__module__", None) != module.__name__ or name[0] == "_":
                continue
            yield f"{found.name}.{name}"
            if isinstance(thing, type):
                yield from (f"{found.name}.{name}.{of}" for of in vars(thing) if of[0] != "_")


def test_every_public_name_of_the_compiled_modules_is_called_here():
    called = {call.name.partition(" ")[0] for call in CALLS}
    assert set(public_names()) - called == set()


def test_an_object_left_behind_is_seen():
    left = []
    assert growth.python_growth(lambda: left.append(bytes(1000)), 100) > 100 * 1000


@pytest.mark.skipif(growth.MALLINFO2 is None, reason="the C library does not tell its heap")
def test_memory_left_behind_in_c_is_seen():
    malloc = ctypes.CDLL(None).malloc
    malloc.restype = ctypes.c_void_p
    heap, _ = growth.native_growth(lambda: malloc(1000), 100)
    assert heap > 100 * 1000


@each_call
def test_no_object_is_left_behind(call: Call):
    n_calls = min(200, call.share_of(N_CALLS))
    assert growth.python_growth(call, n_calls) < n_calls * OCTETS_A_CALL + 500


@each_call
def test_no_memory_is_left_behind(call: Call):
    n_calls = call.share_of(N_CALLS)
    heap, resident = growth.native_growth(call, n_calls)
    assert heap < n_calls * OCTETS_A_CALL + 10_000
    assert resident < n_calls * OCTETS_A_CALL + OCTETS_AT_ONCE


@each_call
def test_no_reference_and_no_hold_on_a_buffer_is_left_behind(call: Call):
    call()
    before = [sys.getrefcount(argument) for argument in call.arguments]
    growth.run(call, 50)
    assert [sys.getrefcount(argument) for argument in call.arguments] == before
    for argument in call.arguments:
        if isinstance(argument, bytearray):
            # Refused while anybody holds a view.
            argument.append(0)
            argument.pop()
