// The page's ears and mouth: a microphone, a loudspeaker, and how loud each of them is.

const BUFFER = 1024; // samples that a level is taken of: 21 ms at 48 kHz
// A level falls by so much a second once it is quiet: slowly enough to be seen.
const FALL_PER_S = 1.6;
// Quieter than this, a level shows nothing.
const FLOOR_DB = -54;
// Nothing of the server's is refused to who may call, but who has no pass any more.
export const UNREACHED =
  "The server was not reached: it may have stopped, or you may have to log in again.";
const CONSTRAINTS = {
  audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
};

// Why there is no sound, in words that are shown.
export class NoAudioError extends Error {}

export class Audio {
  // Open the loudspeaker. It has to begin within the user's click, or it stays silent.
  static async open({ onFrame, onMark, onDropped }) {
    const Context = globalThis.AudioContext;
    if (!Context || !globalThis.AudioWorkletNode) {
      const why = "needs AudioWorklet, and HTTPS or localhost";
      throw new NoAudioError(`This browser cannot play or record here: it ${why}.`);
    }
    const context = new Context({ latencyHint: "interactive" });
    const audio = new Audio(context);
    try {
      await load(context);
      await context.resume();
      audio.connect(onFrame, onMark, onDropped);
    } catch (error) {
      await context.close();
      if (error instanceof NoAudioError) throw error;
      throw new NoAudioError(`The browser gave no sound: ${error.message}`);
    }
    return audio;
  }

  constructor(context) {
    this.context = context;
    this.stream = null;
    this.closed = false; // a microphone that is allowed later is let go
  }

  connect(onFrame, onMark, onDropped) {
    const one = { channelCount: 1, channelCountMode: "explicit" };
    const { context } = this;
    this.microphone = new AudioWorkletNode(context, "microphone", one);
    // It says nothing, but what leads nowhere is not run by every browser.
    this.microphone.connect(context.destination);
    const speaking = { numberOfInputs: 0, outputChannelCount: [1] };
    this.speaker = new AudioWorkletNode(context, "speaker", speaking);
    this.speaker.connect(context.destination);
    this.levels = { caller: new Level(context), agent: new Level(context) };
    this.speaker.connect(this.levels.agent.node);
    this.microphone.port.onmessage = ({ data }) => onFrame(data);
    this.speaker.port.onmessage = ({ data }) => {
      if (data.mark !== undefined) onMark(data.mark);
      if (data.dropped) onDropped(data.dropped);
    };
  }

  // Listen to the microphone; throws NoAudioError with the reason if there is none to listen to.
  async listen() {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new NoAudioError("Browsers give the microphone to pages over HTTPS or on localhost only.");
    }
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia(CONSTRAINTS);
    } catch (error) {
      throw new NoAudioError(whyNot(error));
    }
    if (this.closed) {
      stream.getTracks().forEach((track) => track.stop());
      return;
    }
    this.stream = stream;
    this.source = this.context.createMediaStreamSource(stream);
    this.source.connect(this.microphone);
    this.source.connect(this.levels.caller.node);
  }

  // Tell when the microphone is pulled out.
  onLost(told) {
    this.stream?.getAudioTracks()[0]?.addEventListener("ended", told);
  }

  play(pcm) {
    this.speaker.port.postMessage({ pcm, latency_s: this.latency_s }, [pcm]);
  }

  mark(name) {
    this.speaker.port.postMessage({ mark: name });
  }

  clear() {
    this.speaker.port.postMessage({ clear: true });
  }

  mute(muted) {
    this.microphone.port.postMessage({ muted });
  }

  // What the browser says of the way to the loudspeaker; Safari says less of it.
  get latency_s() {
    return (this.context.baseLatency || 0) + (this.context.outputLatency || 0);
  }

  async close() {
    this.closed = true;
    this.stream?.getTracks().forEach((track) => track.stop());
    this.microphone?.port.postMessage({ over: true });
    this.speaker?.port.postMessage({ over: true });
    if (this.context.state !== "closed") await this.context.close();
  }
}

async function load({ audioWorklet }) {
  try {
    await Promise.all([
      audioWorklet.addModule("/page/microphone.worklet.js"),
      audioWorklet.addModule("/page/speaker.worklet.js"),
    ]);
  } catch {
    throw new NoAudioError(UNREACHED);
  }
}

// How loud a side is, from 0 to 1, as an eye wants it: up at once, down slowly.
class Level {
  constructor(context) {
    this.node = new AnalyserNode(context, { fftSize: BUFFER });
    this.samples = new Float32Array(BUFFER);
    this.shown = 0;
  }

  read(passed_s) {
    this.node.getFloatTimeDomainData(this.samples);
    let sum = 0;
    for (const sample of this.samples) sum += sample * sample;
    const db = 10 * Math.log10(sum / BUFFER + 1e-12);
    const level = Math.min(1, Math.max(0, 1 - db / FLOOR_DB));
    this.shown = Math.max(level, this.shown - FALL_PER_S * passed_s);
    return this.shown;
  }
}

function whyNot(error) {
  switch (error.name) {
    case "NotAllowedError":
    case "SecurityError":
      return "The microphone was not allowed.";
    case "NotFoundError":
    case "OverconstrainedError":
      return "There is no microphone.";
    case "NotReadableError":
    case "AbortError":
      return "The microphone cannot be read; perhaps another program has it.";
    default:
      return `The microphone failed: ${error.message || error.name}.`;
  }
}
