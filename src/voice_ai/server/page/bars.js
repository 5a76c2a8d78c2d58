// How long each answer of a call took, turn by turn: columns of stages, the worst one marked.

import { element, ms, setText } from "./dom.js";

// The stages of `latency_ms`, in their order, by the names that a turn's waterfall has for them.
const STAGES = [
  ["endpointing", "silence", "waiting for silence"],
  ["stt", "hearing", "hearing"],
  ["llm", "model", "model"],
  ["tts", "voice", "voice"],
  ["first_frame", "server", "server"],
];
// The scale's steps: the smallest of them that makes four lines or fewer.
const STEPS_MS = [50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000];
const MAX_LINES = 4;

// Show the chart in `container`; what is returned takes the turns, `chosen(n)` is told of a click.
export function latencyBars(container, chosen) {
  const columns = element("ol", { class: "columns" });
  const scale = element("div", { class: "scale", "aria-hidden": "true" });
  const plot = element("div", { class: "plot" }, scale, columns);
  const none = element("p", { class: "quiet" }, "No answer yet.");
  const figure = element("div", { class: "bars", hidden: true }, plot, legend());
  container.append(none, figure);
  const shown = new Map();
  let drawn = "";

  return (turns) => {
    const answered = turns.filter((turn) => turn.moments_ms?.first_frame != null);
    const totals = answered.map((turn) => turn.latency_ms.total);
    const state = JSON.stringify(answered.map((turn) => [turn.n, turn.latency_ms]));
    if (state === drawn) return;
    drawn = state;
    none.hidden = answered.length > 0;
    figure.hidden = answered.length === 0;
    const worst_ms = Math.max(...totals);
    const top_ms = drawScale(scale, worst_ms);
    for (const turn of answered) {
      const column = shown.get(turn.n) ?? newColumn(turn.n, chosen);
      if (!shown.has(turn.n)) columns.append(column.node);
      shown.set(turn.n, column);
      column.set(turn.latency_ms, top_ms, turn.latency_ms.total === worst_ms && totals.length > 1);
    }
  };
}

function drawScale(scale, worst_ms) {
  const step = STEPS_MS.find((each) => worst_ms / each <= MAX_LINES) ?? STEPS_MS.at(-1);
  const n = Math.max(1, Math.ceil(worst_ms / step));
  const lines = Array.from({ length: n + 1 }, (_, k) => {
    const line = element("span", {}, k ? ms(k * step) : "0");
    line.style.setProperty("--at", k / n);
    return line;
  });
  scale.replaceChildren(...lines);
  return n * step;
}

function newColumn(n, chosen) {
  const total = element("span", { class: "total" });
  const stack = element("span", { class: "stack" });
  const column = element("span", { class: "column", "aria-hidden": "true" }, stack, total);
  const label = element("span", { class: "n", "aria-hidden": "true" }, String(n));
  const said = element("span", { class: "unseen" });
  const button = element("button", { type: "button" }, said, column, label);
  button.addEventListener("click", () => chosen(n));
  const node = element("li", {}, button);
  return {
    node,
    set(latency_ms, top_ms, is_worst) {
      const parts = STAGES.map(([key, name]) => {
        const part = element("span", { class: `stage ${name}` });
        part.style.setProperty("--ms", latency_ms[key] ?? 0);
        return part;
      });
      stack.style.setProperty("--part", latency_ms.total / top_ms);
      stack.replaceChildren(...parts);
      node.classList.toggle("worst", is_worst);
      setText(total, latency_ms.total.toLocaleString("en"));
      const each = STAGES.map(([key, , words]) => `${words} ${ms(latency_ms[key] ?? 0)}`).join(", ");
      setText(said, `Turn ${n}${is_worst ? ", the worst" : ""}: ${ms(latency_ms.total)}. ${each}.`);
      button.title = each;
    },
  };
}

function legend() {
  const list = element("ul", { class: "legend" });
  for (const [, name, words] of STAGES) {
    list.append(element("li", {}, element("span", { class: `stage ${name}` }), words));
  }
  return list;
}
