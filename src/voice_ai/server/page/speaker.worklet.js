// The agent's voice, from PCM16 at 16 kHz to the context's rate. It counts what it has played: a
// mark goes back when all that came before it was heard, or was dropped by a clear.

import { Resampler } from "./resample.js";

const RATE_HZ = 16000;
// Samples that may wait, two minutes: a reply comes as fast as it is made, all of it at once. What
// is beyond is dropped, and told.
const LIMIT = 120 * RATE_HZ;
// A sound that is cut off clicks; 5 ms of fading do not, and nobody hears them as speech.
const FADE = 0.005 * RATE_HZ;

class Speaker extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(RATE_HZ, sampleRate);
    this.ring = new Int16Array(LIMIT);
    this.n_in = 0; // samples that came, and that were played: the ring's places modulo LIMIT
    this.n_out = 0;
    this.fade_end = 0; // what is played before this was cleared, and fades
    this.marks = []; // {name, at}: due when so many samples were played
    this.leaving = []; // {name, frame}: played, and at the loudspeaker at that frame of the context
    this.latency = 0; // frames from here to the loudspeaker
    this.over = false;
    this.port.onmessage = ({ data }) => this.told(data);
  }

  told({ pcm, mark, clear, latency_s, over }) {
    if (pcm) this.append(new Int16Array(pcm));
    if (mark !== undefined) this.marks.push({ name: mark, at: this.n_in });
    if (clear) this.clear();
    if (latency_s !== undefined) this.latency = Math.round(latency_s * sampleRate);
    if (over) this.over = true;
  }

  append(samples) {
    const room = LIMIT - (this.n_in - this.n_out);
    if (samples.length > room) this.port.postMessage({ dropped: samples.length - room });
    const n = Math.min(samples.length, room);
    const at = this.n_in % LIMIT;
    const first = Math.min(n, LIMIT - at);
    this.ring.set(samples.subarray(0, first), at);
    this.ring.set(samples.subarray(first, n), 0);
    this.n_in += n;
  }

  clear() {
    this.n_in = Math.min(this.n_in, this.n_out + FADE);
    this.fade_end = this.n_in;
    for (const { name } of [...this.leaving, ...this.marks]) this.port.postMessage({ mark: name });
    this.marks = [];
    this.leaving = [];
  }

  process(_inputs, [output]) {
    const channel = output[0];
    for (let i = 0; i < channel.length; i += 1) {
      while (this.resampler.missing) this.resampler.push(this.next());
      channel[i] = this.resampler.take();
    }
    for (let i = 1; i < output.length; i += 1) output[i].set(channel);
    this.sendMarks(currentFrame + channel.length);
    return !this.over;
  }

  next() {
    if (this.n_out === this.n_in) return 0;
    const gain = Math.min(1, Math.max(0, this.fade_end - this.n_out) / FADE) || 1;
    const sample = (this.ring[this.n_out % LIMIT] / 32768) * gain;
    this.n_out += 1;
    return sample;
  }

  sendMarks(frame) {
    while (this.marks.length && this.marks[0].at <= this.n_out) {
      this.leaving.push({ name: this.marks.shift().name, frame: frame + this.latency });
    }
    while (this.leaving.length && this.leaving[0].frame <= frame) {
      this.port.postMessage({ mark: this.leaving.shift().name });
    }
  }
}

registerProcessor("speaker", Speaker);
