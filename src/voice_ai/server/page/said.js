// A call in a few words: who, in which phase, how fast, and what was wrong with it.

import { ms } from "./dom.js";

const PHASES = {
  "before the call": "connecting",
  "nobody speaks": "listening",
  "the caller speaks": "caller speaks",
  "a reply was asked for and none of it is on the wire": "thinking",
  "our turn is on the wire or being played": "speaking",
  "our last words are being played": "saying goodbye",
  "our turn is held back: perhaps the caller has begun": "held back",
  "after the call": "over",
};
const STAGES = { stt: "hearing", llm: "model", tts: "voice" };
// An answer that a caller has waited for so long is marked: the pause is as long as a sentence.
const SLOW_MS = 2000;
const TIME = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
const DAY = { month: "short", day: "numeric", ...TIME };
const YEAR = { year: "numeric", ...DAY };

export function who({ caller }) {
  return caller || "unknown caller";
}

export function phaseOf({ phase }) {
  return PHASES[phase] ?? phase;
}

export function isSlow(latency_ms) {
  return latency_ms != null && latency_ms >= SLOW_MS;
}

export function latency(latency_ms) {
  return latency_ms == null ? "–" : ms(latency_ms);
}

// ["llm", "llm", "tts"] -> "model failed 2 times, voice failed"
export function faultsOf({ failures = [] }) {
  const counts = new Map();
  for (const stage of failures) counts.set(stage, (counts.get(stage) ?? 0) + 1);
  const each = [...counts].map(([stage, n]) => {
    return `${STAGES[stage] ?? stage} failed${n > 1 ? ` ${n} times` : ""}`;
  });
  return each.join(", ");
}

// What there is to say of how a call goes, or went.
export function stateOf(call) {
  const said = [
    call.ended ? call.reason : "",
    faultsOf(call),
    call.answered_by ? `answered by ${call.answered_by.replaceAll("_", " ")}` : "",
    call.recorded ? "recorded" : "",
  ];
  return said.filter(Boolean).join(" · ");
}

// Seconds since the epoch, as a time of today or with as much of its day as is needed.
export function when(started_at) {
  const [date, now] = [new Date(started_at * 1000), new Date()];
  if (date.toDateString() === now.toDateString()) return date.toLocaleTimeString([], TIME);
  return date.toLocaleString([], date.getFullYear() === now.getFullYear() ? DAY : YEAR);
}
