// Where the time of one turn went: a table that is its own picture.

import { element, ms } from "./dom.js";

// The moments of a turn in their order, and the stage that each of them ends. The model's first
// token and its first clause are one stage to whoever asks what was slow.
const MOMENTS = [
  ["end_of_turn", "end of turn", "silence"],
  ["recognised", "words known", "hearing"],
  ["first_token", "first token", "model"],
  ["first_clause", "first clause", "model"],
  ["first_voice", "first voice", "voice"],
  ["first_frame", "first frame", "server"],
  ["first_heard", "first heard", "line"],
];
const STAGES = {
  silence: "waiting for silence",
  hearing: "hearing",
  model: "model",
  voice: "voice",
  server: "server",
  line: "line and loudspeaker",
};

// The rows of a turn's waterfall, the slowest stage of them, and the whole. A moment may be told as
// earlier than the one before it (a draft is thought while the caller may be done): it took nothing.
export function readMoments(moments) {
  const rows = [];
  const stages = new Map();
  let edge = 0;
  for (const [key, label, stage] of MOMENTS) {
    if (moments?.[key] == null) continue;
    const at_ms = Math.max(edge, moments[key]);
    rows.push({ key, label, stage, from_ms: edge, at_ms, took_ms: at_ms - edge });
    stages.set(stage, (stages.get(stage) ?? 0) + at_ms - edge);
    edge = at_ms;
  }
  let slowest = null;
  for (const [stage, took_ms] of stages) {
    if (took_ms > 0 && took_ms > (slowest?.took_ms ?? 0)) {
      slowest = { stage, name: STAGES[stage], took_ms };
    }
  }
  return { rows, slowest, total_ms: edge };
}

// Say how long the caller waited, and why.
function caption({ rows, slowest, total_ms }) {
  const whole = element("b", {}, `${ms(total_ms)} to ${rows[rows.length - 1].label}`);
  const why = slowest ? `slowest: ${slowest.name} ${ms(slowest.took_ms)}` : "";
  return element("caption", {}, whole, why);
}

// Draw it; `moments` are `moments_ms` of a turn, one at least. Bars are set from script, for no style
// may stand in the page.
export function waterfall(moments) {
  const read = readMoments(moments);
  const table = element("table", { class: "waterfall" });
  table.append(caption(read), head());
  const body = element("tbody");
  for (const row of read.rows) {
    const bar = element("span", { class: "bar" });
    bar.style.setProperty("--from", row.from_ms / (read.total_ms || 1));
    bar.style.setProperty("--to", row.at_ms / (read.total_ms || 1));
    const is = row.stage === read.slowest?.stage ? "slowest" : false;
    body.append(
      element(
        "tr",
        { class: is },
        element("th", { scope: "row" }, row.label),
        element("td", { class: "track", "aria-hidden": "true" }, bar),
        element("td", {}, `+${row.took_ms.toLocaleString("en")}`),
        element("td", {}, row.at_ms.toLocaleString("en")),
      ),
    );
  }
  table.append(body);
  return table;
}

function head() {
  const row = element("tr", {}, element("th", { scope: "col" }, "moment"));
  row.append(element("td", { "aria-hidden": "true" }));
  row.append(element("th", { scope: "col" }, "took, ms"), element("th", { scope: "col" }, "at, ms"));
  return element("thead", { class: "unseen" }, row);
}
