"""Write the tables of the FIR engine, ext/voice_ai/codec/fir_taps.h, to standard output.

A prototype (fir_prototypes.json, by design_fir.py) is one filter at the rate of in_rate * up. The
engine never sees it whole: it cuts the input into groups of `down` samples, whose q-th ones make
row q, and each of the `up` outputs of a group is a sum of products with places in these rows. This
module lists those places; zeros are left out, and an output that is an input is a copy.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

PROTOTYPES = Path(__file__).with_name("fir_prototypes.json")

# Row, groups back from the newest (0, -1, ...), coefficient; or that and the next one's.
Tap = tuple[int, int, Any]
Pair = tuple[int, int, int, int]
# Absolute coefficients of a sum: times 32,768, and half a unit for the rounding, within int32.
MOST = 65534


def taps_of_output(prototype: dict[str, Any], output: int, name: str = "taps") -> list[Tap]:
    """List the products that make the given output of a group, in the order of rows, then time."""
    up, down = prototype["up"], prototype["down"]
    found = []
    for n, tap in enumerate(prototype[name]):
        # Output m of the stream is the sum of h[m down + down - 1 - k up] x[k].
        k, rest = divmod(output * down + down - 1 - n, up)
        if rest == 0 and tap:
            found.append((k % down, k // down, tap))
    return sorted(found)


def pairs_of(taps: list[Tap]) -> list[Pair]:
    """Join neighbours in a row, two by two: what one multiply-and-add takes."""
    pairs = []
    left = {(row, back): tap for row, back, tap in taps}
    for row, back in sorted(left):
        if (row, back) not in left:
            continue
        first = left.pop((row, back))
        if back == 0:
            # The newest has no neighbour behind it.
            pairs.append((row, -1, 0, first))
        else:
            pairs.append((row, back, first, left.pop((row, back + 1), 0)))
    return pairs


def halves(pairs: list[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Part the pairs of an output into one sum, or two, that int32 holds whatever the input."""
    if _weight(pairs) <= MOST:
        return pairs, []
    first: list[Pair] = []
    second: list[Pair] = []
    for pair in sorted(pairs, key=lambda pair: -_weight([pair])):
        (first if _weight(first) <= _weight(second) else second).append(pair)
    return sorted(first), sorted(second)


def _weight(pairs: list[Pair]) -> int:
    return sum(abs(tap) for pair in pairs for tap in pair[2:])


def _output(prototype: dict[str, Any], output: int, name: str) -> tuple[list[str], str, int]:
    """Return the arrays of one output, its entry in the table, and how far it looks back."""
    shift, taps = prototype["shift"], taps_of_output(prototype, output)
    if len(taps) == 1 and taps[0][2] == 1 << shift:
        row, back, _ = taps[0]
        return [], f"{{.copied = FIR_AT({row}, {back})}}", -back
    first, second = halves(pairs_of(taps))
    pairs, floats = first + second, taps_of_output(prototype, output, "float_taps")
    lines = [
        f"static const struct fir_pair {name}[] = {{",
        *_wrapped(
            f"{{FIR_AT({at}, {back}), {{{tap}, {after}}}}}" for at, back, tap, after in pairs
        ),
        "};",
        f"static const struct fir_tap {name}f[] = {{",
        *_wrapped(f"{{FIR_AT({row}, {back}), {tap:.9g}f}}" for row, back, tap in floats),
        "};",
    ]
    counts = f"{len(pairs)}, {len(first)}, {len(floats)}, {shift - bool(second)}"
    return lines, f"{{{name}, {name}f, {counts}, 0}}", -min(row[1] for row in pairs + floats)


def _wrapped(entries: Iterable[str]) -> Iterator[str]:
    line = "   "
    for entry in entries:
        if len(line) + len(entry) > 98:
            yield line
            line = "   "
        line += f" {entry},"
    yield line


def _table(prototype: dict[str, Any]) -> tuple[list[str], str]:
    up, down, phase = prototype["up"], prototype["down"], prototype["phase"]
    stem = f"fir_{up}_{down}_{phase}"
    made = [_output(prototype, output, f"{stem}_{output}") for output in range(up)]
    head = f"{up}, {down}, FIR_{phase.upper()}, {max(back for _, _, back in made)}"
    entries = ",\n        ".join(entry for _, entry, _ in made)
    table = f"    {{{head}, {prototype['delay']!r}, {{\n        {entries},\n    }}}},"
    return [line for lines, _, _ in made for line in lines], table


def header(prototypes: list[dict[str, Any]]) -> str:
    """Return the text of fir_taps.h."""
    lines = [
        "/* The tables of fir.h, written by tests/reference/fir_header.py: change nothing here. */",
        "",
    ]
    tables = []
    for prototype in prototypes:
        own, table = _table(prototype)
        lines += own
        tables.append(table)
    lines += ["", "static const struct fir_table fir_tables[] = {", *tables, "};", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    print(header(json.loads(PROTOTYPES.read_text())), end="")
