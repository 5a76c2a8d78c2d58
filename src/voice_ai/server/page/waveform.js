// A call's recording: both sides' sound as a picture, what befell the call on it, and the playing.

import { clock, element, setText } from "./dom.js";
import { Picture } from "./picture.js";
import { NoRecordingError, parseWav, pcmFile, ulawFile } from "./wav.js";

// A recording is 16 KB a second. Longer ones are fetched when they are asked for.
const LONG_MS = 15 * 60_000;
const MB_A_MS = 16e-6;
const STEP_S = 5;

// Show the recording of `params.call`, a full call that is over; the function that is returned takes
// it away and lets go of its sound.
export function show(container, { call }) {
  const fetching = new AbortController();
  const box = element("div", { class: "waveform" });
  const told = element("p", { class: "quiet", role: "status" });
  const leaving = [() => fetching.abort()];
  container.append(box, told);

  async function load() {
    setText(told, "Loading the recording…");
    try {
      const sound = parseWav(await fetchSound(call.call_sid, fetching.signal));
      if (!sound.n_frames) throw new NoRecordingError("Nothing was recorded.");
      setText(told, "");
      leaving.push(player(box, sound, call));
    } catch (error) {
      if (fetching.signal.aborted) return;
      const why = error instanceof NoRecordingError ? error.message : "It could not be fetched.";
      setText(told, `No recording can be shown. ${why}`);
    }
  }

  if (call.duration_ms > LONG_MS) askFirst(box, call.duration_ms, load);
  else load();
  return () => {
    for (const leave of leaving) leave();
  };
}

async function fetchSound(call_sid, signal) {
  const url = `/api/recording?call_sid=${encodeURIComponent(call_sid)}`;
  const answer = await fetch(url, { signal });
  if (answer.status === 404) throw new NoRecordingError("It is not kept, or no longer.");
  if (!answer.ok) throw new NoRecordingError(`The server answered ${answer.status}.`);
  return answer.arrayBuffer();
}

function askFirst(box, duration_ms, load) {
  const size = Math.max(1, Math.round(duration_ms * MB_A_MS));
  const button = element("button", { type: "button" }, `Load the recording (about ${size} MB)`);
  button.addEventListener("click", () => {
    button.remove();
    load();
  });
  box.append(button);
}

function player(box, sound, call) {
  const length_s = sound.n_frames / sound.rate_hz;
  const audio = element("audio", { controls: true, preload: "auto" });
  const canvas = element("canvas", { "aria-hidden": "true" });
  const cursor = element("div", { class: "cursor", "aria-hidden": "true" });
  const frame = element("div", {
    class: "sound",
    role: "slider",
    tabindex: "0",
    "aria-label": "Position in the recording",
    "aria-valuemin": "0",
    "aria-valuemax": Math.round(length_s),
  });
  frame.append(canvas, cursor);
  box.append(frame, legend(), audio);

  const letGo = play(audio, sound);
  const picture = new Picture(canvas, sound, call);
  const stopFollowing = follow(audio, length_s, (at_s) => {
    cursor.style.transform = `translateX(${(at_s / length_s) * frame.clientWidth}px)`;
    frame.setAttribute("aria-valuenow", Math.round(at_s));
    frame.setAttribute("aria-valuetext", `${clock(at_s * 1000)} of ${clock(length_s * 1000)}`);
  });
  const seek = (at_s) => (audio.currentTime = Math.min(length_s, Math.max(0, at_s)));
  listen(frame, audio, length_s, seek);
  const stopWatching = watch(frame, () => picture.draw(frame.clientWidth));
  return () => {
    stopWatching();
    stopFollowing();
    audio.pause();
    letGo();
  };
}

// Give the sound to the player; what cannot play µ-law gets PCM. Returns what lets go of it.
function play(audio, sound) {
  let url = URL.createObjectURL(ulawFile(sound));
  audio.addEventListener(
    "error",
    () => {
      URL.revokeObjectURL(url);
      audio.src = url = URL.createObjectURL(pcmFile(sound));
    },
    { once: true },
  );
  audio.src = url;
  return () => {
    audio.removeAttribute("src");
    audio.load();
    URL.revokeObjectURL(url);
  };
}

// Tell where the player is: at each frame while it plays, else when it has been moved.
function follow(audio, length_s, moved) {
  let drawing = 0;
  function tell() {
    moved(Math.min(length_s, audio.currentTime));
    cancelAnimationFrame(drawing);
    if (!audio.paused) drawing = requestAnimationFrame(tell);
  }
  for (const event of ["play", "pause", "seeking", "timeupdate", "ended"]) {
    audio.addEventListener(event, tell);
  }
  tell();
  return () => cancelAnimationFrame(drawing);
}

function listen(frame, audio, length_s, seek) {
  const pointed = (event) => {
    const { left, width } = frame.getBoundingClientRect();
    seek(((event.clientX - left) / width) * length_s);
  };
  frame.addEventListener("pointerdown", (event) => {
    frame.setPointerCapture(event.pointerId);
    pointed(event);
  });
  frame.addEventListener("pointermove", (event) => {
    if (frame.hasPointerCapture(event.pointerId)) pointed(event);
  });
  const keys = {
    ArrowLeft: () => seek(audio.currentTime - STEP_S),
    ArrowRight: () => seek(audio.currentTime + STEP_S),
    Home: () => seek(0),
    End: () => seek(length_s),
    " ": () => (audio.paused ? audio.play() : audio.pause()),
  };
  frame.addEventListener("keydown", (event) => {
    if (!(event.key in keys) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    keys[event.key]();
  });
}

// Draw now, and whenever the size or the colours of the page are others.
function watch(frame, draw) {
  const resized = new ResizeObserver(draw);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  resized.observe(frame);
  dark.addEventListener("change", draw);
  return () => {
    resized.disconnect();
    dark.removeEventListener("change", draw);
  };
}

function legend() {
  const list = element("ul", { class: "legend" });
  for (const [name, text] of [
    ["side caller", "the caller"],
    ["side agent", "what the caller heard"],
    ["tick", "a turn: the caller had spoken"],
    ["tick clear", "cleared: what waited was not played"],
    ["tick mark", "mark: played up to here"],
  ]) {
    list.append(element("li", {}, element("span", { class: name }), text));
  }
  return list;
}
