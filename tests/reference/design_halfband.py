"""Design the half-band filter's 28 taps: `python tests/reference/design_halfband.py` (needs SciPy).

Minimises the largest gain from 4.6 to 8 kHz at a rate of 16 kHz over integer taps with a sum of
exactly one half (in Q14: 8192 for the 14 that are mirrored), by mixed-integer programming, which
proves the optimum: 70.8 dB. A half-band's pass band mirrors its stop band, hence its ripple of
0.005 dB up to 3.4 kHz. Plain rounding of the equiripple design gives 69.7 dB.
"""

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.signal import remez

RATE_HZ = 16000
PASS_HZ = 3400
N_FREQUENCIES = 160
# Integer taps are sought this near to the rounded equiripple ones; the optimum is 4 away at most.
REACH = 6


def stop_band_gain(frequencies_hz: np.ndarray) -> np.ndarray:
    """Return what a unit of each mirrored tap adds to the gain, to the centre's 0.5."""
    offsets = 27 - 2 * np.arange(14)
    return np.cos(2 * np.pi * np.outer(frequencies_hz, offsets) / RATE_HZ) / 16384


def design() -> list[int]:
    """Return the 14 taps up to the centre."""
    equiripple = remez(28, [0, 2 * PASS_HZ / RATE_HZ], [1.0], fs=1.0, maxiter=200, grid_density=64)
    near = np.round(equiripple[:14] * 16384)
    gain = 1e4 * stop_band_gain(np.linspace(RATE_HZ / 2 - PASS_HZ, RATE_HZ / 2, N_FREQUENCIES))
    bound = -np.ones((N_FREQUENCIES, 1))
    found = milp(
        [0] * 14 + [1],
        integrality=[1] * 14 + [0],
        bounds=Bounds([*(near - REACH), 0], [*(near + REACH), 10]),
        constraints=[
            LinearConstraint(np.hstack([gain, bound]), -np.inf, -5000),
            LinearConstraint(np.hstack([-gain, bound]), -np.inf, 5000),
            LinearConstraint([[1] * 14 + [0]], 8192, 8192),
        ],
    )
    return [round(tap) for tap in found.x[:14]]


if __name__ == "__main__":
    taps = design()
    gain = 0.5 + stop_band_gain(np.linspace(RATE_HZ / 2 - PASS_HZ, RATE_HZ / 2, 5000)) @ taps
    print(taps, f"{-20 * np.log10(np.abs(gain).max()):.2f} dB")
