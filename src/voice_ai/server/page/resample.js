// Sample rates, one sample at a time: a windowed-sinc FIR in as many phases as the ratio needs.
// The context of a page runs at 44.1 or 48 kHz, whatever the device has; a call is at 16 kHz.

// Flat to 0.45 of the lower rate, gone at its half: what is above would fold into speech.
const PASS = 0.45;
const STOP = 0.5;
// Kaiser's window for 70 dB (Oppenheim and Schafer, Discrete-Time Signal Processing, 7.5.3): it
// keeps aliases below the noise of 16 kHz speech at the phone's quality.
const REJECTION_DB = 70;
const BETA = 0.1102 * (REJECTION_DB - 8.7);
const PEAK = bessel(BETA);

export class Resampler {
  constructor(from_hz, to_hz) {
    const common = gcd(from_hz, to_hz);
    this.up = to_hz / common;
    this.down = from_hz / common;
    this.phases = this.up === this.down ? [new Float32Array([1])] : design(from_hz, to_hz, this.up);
    this.n_taps = this.phases[0].length;
    this.past = new Float32Array(2 * this.n_taps); // twice, so that the latest are in one piece
    this.at = 0;
    this.phase = 0;
    this.missing = 1; // samples to be pushed before the next one can be taken
  }

  push(sample) {
    this.past[this.at] = sample;
    this.past[this.at + this.n_taps] = sample;
    this.at = (this.at + 1) % this.n_taps;
    this.missing -= 1;
  }

  // The next sample, once none is missing for it.
  take() {
    const taps = this.phases[this.phase];
    let sum = 0;
    for (let i = 0, from = this.at; i < this.n_taps; i += 1) sum += taps[i] * this.past[from + i];
    this.phase += this.down;
    this.missing += Math.floor(this.phase / this.up);
    this.phase %= this.up;
    return sum;
  }
}

function gcd(a, b) {
  return b ? gcd(b, a % b) : a;
}

// Return the taps of each phase, the oldest sample's first; each phase sums to 1.
function design(from_hz, to_hz, up) {
  const lower = Math.min(from_hz, to_hz);
  const rate = from_hz * up;
  const width = (2 * Math.PI * (STOP - PASS) * lower) / rate;
  const n_taps = Math.ceil((REJECTION_DB - 8) / (2.285 * width) / up);
  const middle = (n_taps * up - 1) / 2;
  const cutoff = ((PASS + STOP) * lower) / rate; // of half the rate
  const phases = [];
  for (let phase = 0; phase < up; phase += 1) {
    const taps = new Float64Array(n_taps);
    for (let k = 0; k < n_taps; k += 1) {
      const x = phase + k * up - middle;
      taps[n_taps - 1 - k] = sinc(cutoff * x) * kaiser(x / middle);
    }
    const sum = taps.reduce((a, b) => a + b);
    phases.push(Float32Array.from(taps, (tap) => tap / sum));
  }
  return phases;
}

function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

function kaiser(x) {
  return bessel(BETA * Math.sqrt(Math.max(0, 1 - x * x))) / PEAK;
}

// The modified Bessel function of the first kind, order 0, by its series.
function bessel(x) {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > 1e-10 * sum; k += 1) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}
