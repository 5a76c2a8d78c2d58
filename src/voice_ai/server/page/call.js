// One call: who, when and why it ended; how long each answer took; its sound; the conversation.

import { latencyBars } from "./bars.js";
import { clock, element, setText } from "./dom.js";
import { fetchJSON, NotThereError, poll } from "./poll.js";
import { faultsOf, phaseOf, when, who } from "./said.js";
import { renderConversation } from "./turns.js";
import * as waveform from "./waveform.js";

const TICK_MS = 100;

// Show the call of `params.call_sid` in `container`; the function that is returned takes it away.
export function show(container, { call_sid }) {
  const view = draw(container);
  const url = `/api/calls?call_sid=${encodeURIComponent(call_sid)}`;
  let shown = null;
  let leaveSound = () => {};

  async function ask(signal) {
    try {
      shown = await fetchJSON(url, signal);
    } catch (error) {
      if (!(error instanceof NotThereError)) throw error;
      view.gone(shown !== null);
      return false;
    }
    view.told(shown);
    if (shown.ended && shown.recorded) leaveSound = waveform.show(view.sound, { call: shown });
    return !shown.ended;
  }

  const stop = poll(ask, view.lost);
  const ticking = setInterval(() => view.tick(), TICK_MS);
  return () => {
    stop();
    clearInterval(ticking);
    leaveSound();
  };
}

function draw(container) {
  const title = element("h1", {}, "A call");
  const back = element("a", { class: "back", href: "#/calls" }, "All calls");
  const alert = element("p", { class: "alert", role: "status", hidden: true });
  const missing = element("p", { class: "alert", role: "status", hidden: true });
  const loading = element("p", { class: "empty" }, "Loading the call…");
  const body = element("div", { class: "call", hidden: true });
  container.append(back, title, alert, missing, loading, body);

  const facts = factList(body);
  const sound = section(body, "Sound");
  const unheard = element("p", { class: "quiet" });
  sound.append(unheard);
  const talk = section(body, "Conversation");
  const conversation = renderConversation(talk);
  const chart = element("section", {}, element("h2", {}, "Latency of each answer"));
  chart.append(element("p", { class: "quiet" }, "From the caller's last word to our first frame."));
  body.insertBefore(chart, sound);
  const bars = latencyBars(chart, (n) => {
    talk.querySelector(`[data-n="${n}"]`)?.scrollIntoView({ block: "center" });
  });

  return {
    sound,
    told(call) {
      loading.hidden = true;
      body.hidden = false;
      setText(title, who(call));
      facts.set(call);
      sound.hidden = !call.recorded;
      const waits = call.recorded && !call.ended;
      setText(unheard, waits ? "Recorded. It can be heard here once the call is over." : "");
      bars(call.turns);
      conversation.setCall(call);
      for (const turn of call.turns) conversation.setTurn(turn);
      for (const note of call.notes) conversation.addNote(note);
    },
    tick: facts.tick,
    lost(error) {
      alert.hidden = !error;
      setText(alert, error ? "Connection lost; trying again." : "");
    },
    gone(was_shown) {
      loading.hidden = true;
      missing.hidden = false;
      const only = was_shown ? " What is shown is the last that was known of it." : "";
      setText(missing, `The server keeps no such call, or no longer.${only}`);
    },
  };
}

function section(body, name) {
  const made = element("section", {}, element("h2", {}, name));
  body.append(made);
  return made;
}

// What there is to know of a call besides its words; what there is not is left out.
function factList(body) {
  const list = element("dl", { class: "facts" });
  body.append(list);
  const known = new Map();
  let began = Infinity;
  let ended = true;

  function fact(name, text, is = "") {
    if (!known.has(name)) {
      const value = element("dd");
      const node = element("div", {}, element("dt", {}, name), value);
      known.set(name, { node, value });
      list.append(node);
    }
    const { node, value } = known.get(name);
    node.hidden = !text;
    node.className = is;
    setText(value, text);
  }

  function tick() {
    if (!ended) fact("Duration", clock(performance.now() - began));
  }

  function set(call) {
    ended = call.ended;
    began = Math.min(began, performance.now() - call.duration_ms);
    fact("Began", when(call.started_at));
    fact("Duration", clock(call.duration_ms));
    fact("Called", call.called);
    fact("Now", call.ended ? "" : phaseOf(call));
    fact("Ended", call.ended ? call.reason || "without a reason" : "");
    fact("Faults", faultsOf(call), "fault");
    fact("Answered by", (call.answered_by ?? "").replaceAll("_", " "));
    fact("Id", call.call_sid, "id");
    tick();
  }

  return { set, tick };
}
