"""Design the resamplers' filters, and print what fir_prototypes.json beside this holds.

Needs SciPy; takes half a minute; fir_header.py then writes the engine's tables.

A filter works at in_rate * up, n_lower times the lower of the two rates; frequencies here are in
units of that lower rate. It passes 0.425 of it (3.4 of 8 kHz) and stops what is above 0.575: the
images of the pass band, or what would fold onto it.

1. Linear programming finds the best coefficients: of a linear phase directly; of a minimum phase
   through the square of the gain, which is linear in the autocorrelation. A constant stays constant
   in every phase: the coefficients of each add up to 1, which takes zeros at the multiples of
   in_rate. With linear phase and a whole n_lower, one phase is a pure delay.
2. They are rounded to integers with the same sums, and the rounding is improved two coefficients at
   a time as long as the stop band gains by it.
"""

import json
from typing import Any

import numpy as np
from fir_rounding import STOP, Array, Rounding, half_band
from numpy.typing import NDArray
from scipy.optimize import linprog

PASS = 0.425
RATIOS = [(n, 1) for n in (2, 3, 4, 6)] + [(1, n) for n in (2, 3, 4, 6)]
RATIOS += [(3, 2), (2, 3), (4, 3), (3, 4)]
# Coefficients for one sample at the lower rate, on each side of the centre; and in all.
LINEAR_REACH, MINIMUM_REACH = 14, 24
# What is asked of the unrounded filters; rounding takes its share.
RIPPLE_DB, MINIMUM_STOP_DB = 0.005, 75.5


def waves(frequencies: Array, places: NDArray[np.int64], n_lower: int) -> Array:
    """Return the cosines that symmetric coefficients have for a response."""
    twice = np.where(places == 0, 1, 2)
    return np.asarray(twice * np.cos(2 * np.pi * np.outer(frequencies, places) / n_lower))


def bands(n_lower: int, n_unknown: int) -> tuple[Array, Array]:
    """Return frequencies of the pass band and of the stop band, close enough to see all maxima."""
    n_pass, n_stop = max(80, 6 * n_unknown // n_lower), 8 * n_unknown
    return np.linspace(0, PASS, n_pass), np.linspace(STOP, n_lower / 2, n_stop)


def linear(n_lower: int, up: int) -> Array:
    """Return symmetric coefficients, `up` in sum, with the smallest gain in the stop band.

    With a pure delay among the phases, or the half-band's zeros, the pass band mirrors the stop
    band; else its ripple is bounded.
    """
    reach = LINEAR_REACH * n_lower - 1
    is_pure = up == n_lower or n_lower == 2
    places = np.array([k for k in range(reach + 1) if not is_pure or k % n_lower])
    middle, n_phases = (1 / n_lower, n_lower) if is_pure else (0.0, up)
    low, high = bands(n_lower, reach)
    ripple = 0.002 if is_pure else 10 ** (RIPPLE_DB / 20) - 1
    passes, stops = waves(low, places, n_lower), waves(high, places, n_lower)
    none, bound = np.zeros((len(low), 1)), -np.ones((len(high), 1))
    sums = np.full(n_phases, 1 / n_phases)
    sums[0] -= middle
    found = linprog(
        [0] * len(places) + [1],
        A_ub=np.block([[stops, bound], [-stops, bound], [passes, none], [-passes, none]]),
        b_ub=np.repeat(
            [-middle, middle, 1 + ripple - middle, ripple - 1 + middle],
            [len(high), len(high), len(low), len(low)],
        ),
        A_eq=np.c_[sums_of_phases(places, n_phases), np.zeros(n_phases)],
        b_eq=sums,
        bounds=(None, None),
    )
    half = np.zeros(reach + 1)
    half[0] = middle
    half[places] = found.x[:-1]
    return up * np.r_[half[:0:-1], half]


def sums_of_phases(places: NDArray[np.int64], up: int) -> Array:
    """Return, for each phase, how often each symmetric coefficient is in it."""
    sides = np.stack([places % up, -places % up]) == np.arange(up)[:, None, None]
    return np.where(places == 0, sides[:, 0], sides.sum(axis=1)).astype(float)


def minimum(n_lower: int, up: int) -> Array:
    """Return coefficients of minimum phase, `up` in sum, with the least ripple in the pass band."""
    n_unknown = MINIMUM_REACH * n_lower - up + 1
    places = np.arange(n_unknown)
    low, high = bands(n_lower, n_unknown)
    # A moving mean over `up` has its zeros where a constant would leak from phase to phase.
    comb_low, comb_high = (
        np.abs(spectrum(np.ones(up), each, n_lower)[:, None]) ** 2 for each in (low, high)
    )
    # Rows are scaled to what the solver's tolerances suit: the gain's square is below 1e-7.
    stops = 10 ** (MINIMUM_STOP_DB / 10) * waves(high, places, n_lower)
    gains, least = comb_high * stops, np.maximum(comb_high, 0.01) * stops
    passes = 1e3 * comb_low * waves(low, places, n_lower)
    none, bound = np.zeros((len(high), 1)), -np.ones((len(low), 1))
    found = linprog(
        [0] * n_unknown + [1],
        A_ub=np.block([[gains, none], [-least, none], [passes, bound], [-passes, bound]]),
        b_ub=np.repeat([1, 0, 1e3, -1e3], [len(high), len(high), len(low), len(low)]),
        bounds=(None, None),
    )
    taps = np.convolve(of_minimum_phase(found.x[:-1]), np.ones(up))
    return up * taps / taps.sum()


def of_minimum_phase(autocorrelation: Array) -> Array:
    """Return the causal half of an autocorrelation, by way of its cepstrum."""
    n, n_bins = len(autocorrelation), 1 << 16
    around = np.r_[autocorrelation, np.zeros(n_bins - 2 * n + 1), autocorrelation[:0:-1]]
    logs = np.fft.ifft(np.log(np.maximum(np.fft.fft(around).real, 1e-14)) / 2).real
    logs[1 : n_bins // 2] *= 2
    logs[n_bins // 2 + 1 :] = 0
    return np.fft.ifft(np.exp(np.fft.fft(logs))).real[:n]


def spectrum(taps: Array, frequencies: Array, n_lower: int) -> NDArray[np.complex128]:
    """Return the complex gain, 1 for a constant."""
    turns = np.outer(frequencies, np.arange(len(taps))) / n_lower
    return np.asarray(np.exp(-2j * np.pi * turns) @ taps / taps.sum())


def group_delay(taps: Array, n_lower: int) -> Array:
    """Return the group delay over the pass band, in coefficients."""
    frequencies = np.linspace(0, PASS, 400)
    ramp = taps * np.arange(len(taps))
    ratio = spectrum(ramp, frequencies, n_lower) * ramp.sum() / taps.sum()
    return (ratio / spectrum(taps, frequencies, n_lower)).real


def best_shift(taps: Array, up: int) -> int:
    """Return the bits of the unit, 14 and more as long as int32 holds every sum of products."""
    most = max(np.abs(taps[p::up]).sum() for p in range(up))
    # The single filter of a large step down is long, and its coefficients small: it needs, and has,
    # two sums (fir.h).
    n_sums = 2 if up == 1 and len(taps) > 60 else 1
    for shift in (16, 15):
        if most * (1 << shift) < n_sums * 65000 and np.abs(taps).max() * (1 << shift) < 32700:
            return shift
    return 14


def prototype(up: int, down: int, phase: str) -> dict[str, Any]:
    """Design the filter of one ratio and phase."""
    n_lower = max(up, down)
    taps = (linear if phase == "linear" else minimum)(n_lower, up)
    shift = best_shift(taps, up)
    if phase == "linear" and n_lower == 2:
        integers = half_band(taps / up * 2)
    else:
        integers = Rounding(taps, up, n_lower, 1 << shift, phase == "linear").improved()
    if phase == "linear":
        # Outputs are aligned to whole samples: a coefficient of 0 in front where that takes one.
        delay = (len(taps) // 2) // down if down > 1 else len(taps) // 2
        front = delay * down + down - 1 - len(taps) // 2
        integers, taps = np.r_[np.zeros(front, np.int64), integers], np.r_[np.zeros(front), taps]
    else:
        delay = (group_delay(integers.astype(float), n_lower).mean() - (down - 1)) / down
    return {
        "up": up,
        "down": down,
        "phase": phase,
        "shift": shift,
        "delay": round(float(delay), 6),
        "taps": [int(tap) for tap in integers],
        "float_taps": [float(f"{tap:.9g}") for tap in taps],
    }


def main() -> None:
    """Print all of them, one a line."""
    same = {"up": 1, "down": 1, "phase": "linear", "shift": 14, "delay": 0.0}
    made = [{**same, "taps": [1 << 14], "float_taps": [1.0]}]
    made += [prototype(*ratio, phase) for phase in ("linear", "minimum") for ratio in RATIOS]
    print("[\n" + ",\n".join(json.dumps(each) for each in made) + "\n]")


if __name__ == "__main__":
    main()
