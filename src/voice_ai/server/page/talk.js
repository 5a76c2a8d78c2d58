// Talking to the agent: a button, two meters, words for who has no microphone, the conversation.

import { Audio, NoAudioError } from "./audio.js";
import { Line } from "./line.js";
import { View } from "./talkview.js";

// A call of one tab would hear the other's: they share a microphone and a loudspeaker.
const LOCK = "voice_ai call";

// Show the page in `container`; the function that is returned ends the call and takes it away.
export function show(container) {
  const view = new View(container);
  let call = null;

  async function begin(words = "") {
    view.began();
    let why = "Something went wrong on this page; reload it.";
    try {
      call = new Call(view, words);
      why = await call.run();
    } finally {
      call = null;
      view.ended(why);
    }
  }

  function hangUp() {
    call?.hangUp();
  }

  view.button.addEventListener("click", () => (call ? hangUp() : begin()));
  view.mute.addEventListener("click", () => {
    view.mute.setAttribute("aria-pressed", !view.muted);
    call?.mute();
  });
  view.form.addEventListener("submit", (event) => {
    event.preventDefault();
    const words = view.input.value.trim();
    if (!words) return;
    view.input.value = "";
    if (call) call.say(words);
    else begin(words);
  });
  window.addEventListener("pagehide", hangUp);
  return () => {
    window.removeEventListener("pagehide", hangUp);
    hangUp();
  };
}

// One call, from the click to its end, whoever ends it. Nothing of it outlives `run`.
class Call {
  constructor(view, words) {
    this.view = view;
    this.waiting = words ? [words] : []; // typed before the line was up
    this.over = new Promise((resolve) => (this.end = resolve));
  }

  // Hold the call; returns why it ended, empty if it was hung up.
  async run() {
    const why = await alone(() => this.hold());
    return why ?? "Another tab of this page is in a call. Hang up there first.";
  }

  async hold() {
    try {
      return await Promise.race([this.open().then(() => this.over), this.over]);
    } catch (error) {
      if (error instanceof NoAudioError) return error.message;
      throw error;
    } finally {
      // Not awaited: the browser may still be asking for the microphone.
      this.is_over = true;
      this.line?.hangUp();
      cancelAnimationFrame(this.drawing);
      this.audio?.close();
    }
  }

  async open() {
    this.audio = await Audio.open({
      onFrame: (frame) => this.line?.sendAudio(frame),
      onMark: (name) => this.line?.sendMark(name),
      onDropped: () => this.view.warn("Some of the agent's voice was dropped: too much waits."),
    });
    if (!this.is_over) await this.listen();
    if (this.is_over) {
      this.audio.close();
      return;
    }
    this.view.says("Connecting");
    this.line = new Line({
      start: () => this.started(),
      audio: (sound) => this.audio.play(sound),
      mark: (name) => this.audio.mark(name),
      clear: () => this.audio.clear(),
      told: (message) => this.view.told(message),
      closed: (why) => this.end(why),
    });
    this.draw();
  }

  // Without a microphone the call goes on, with words that are typed.
  async listen() {
    this.view.says("Asking for the microphone");
    try {
      await this.audio.listen();
      this.mute();
      this.audio.onLost(() => this.view.warn("The microphone is gone. You can type instead."));
    } catch (error) {
      if (!(error instanceof NoAudioError)) throw error;
      this.view.warn(`${error.message} You can type instead.`);
    }
  }

  started() {
    this.view.connected();
    for (const words of this.waiting.splice(0)) this.line.sendText(words);
  }

  say(words) {
    if (this.line?.open) this.line.sendText(words);
    else this.waiting.push(words);
  }

  mute() {
    this.audio?.mute(this.view.muted);
  }

  hangUp() {
    this.end("");
  }

  // One frame after another, for as long as the call lasts.
  draw(before = performance.now()) {
    this.drawing = requestAnimationFrame((now) => {
      const passed_s = (now - before) / 1000;
      const { caller, agent } = this.audio.levels;
      this.view.levels(this.view.muted ? 0 : caller.read(passed_s), agent.read(passed_s));
      this.draw(now);
    });
  }
}

// Run `work` while no other tab runs it; returns null if one does.
async function alone(work) {
  if (!navigator.locks) return work();
  return navigator.locks.request(LOCK, { ifAvailable: true }, (lock) => (lock ? work() : null));
}
