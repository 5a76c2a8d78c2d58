// The caller's voice, from the context's rate to messages of PCM16 at 16 kHz. Without a microphone
// it is silence: the call's clock counts what we send.

import { Resampler } from "./resample.js";

const RATE_HZ = 16000;
const FRAME = 320; // 20 ms: what a telephone sends at a time

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(sampleRate, RATE_HZ);
    this.frame = new Int16Array(FRAME);
    this.n = 0;
    this.muted = false;
    this.over = false;
    this.port.onmessage = ({ data }) => Object.assign(this, data);
  }

  process([input], _outputs) {
    const channel = this.muted ? null : input[0];
    const n_samples = channel?.length ?? 128;
    for (let i = 0; i < n_samples; i += 1) {
      this.resampler.push(channel ? channel[i] : 0);
      while (!this.resampler.missing) this.keep(this.resampler.take());
    }
    return !this.over;
  }

  keep(sample) {
    this.frame[this.n] = Math.round(Math.max(-1, Math.min(1, sample)) * 32767);
    this.n += 1;
    if (this.n < FRAME) return;
    this.port.postMessage(this.frame.buffer, [this.frame.buffer]);
    this.frame = new Int16Array(FRAME);
    this.n = 0;
  }
}

registerProcessor("microphone", Microphone);
