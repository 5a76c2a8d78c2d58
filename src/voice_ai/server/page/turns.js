// The conversation of a call: both sides' words, what was not heard of ours, where the time went,
// and what else befell the call, in the order in which it happened.

import { clock, element, ms, setText } from "./dom.js";
import { splitReply } from "./heard.js";
import { waterfall } from "./waterfall.js";

// What stands before a note's text, which says the rest. Kinds that are not here, marks and clears,
// are for pictures of the sound.
const NOTES = {
  barge_in: "",
  held: "",
  filler: "bridged the silence: ",
  tool: "tool: ",
  fault: "fault: ",
  key: "",
  typed: "",
};

// Show a conversation in `container`. What is set again replaces what was there, and costs nothing
// where it is the same. `caller` is what the caller is called, `hint` stands there before any word.
export function renderConversation(container, { caller = "Caller", hint = "" } = {}) {
  const list = element("ol", { class: "conversation" });
  const empty = element("p", { class: "empty" }, hint || "Nothing has been said yet.");
  container.append(empty, list);
  const items = []; // in the order of time
  const turns = new Map();
  const noted = new Set();
  const call = callItems(caller);

  // Put an item where it belongs, behind those of the same moment.
  function place(item) {
    const was = items.indexOf(item);
    if (was >= 0) items.splice(was, 1);
    const behind = items.findIndex((other) => other.at_ms > item.at_ms);
    const at = behind < 0 ? items.length : behind;
    items.splice(at, 0, item);
    const next = items[at + 1]?.node ?? null;
    if (item.node.parentNode !== list || item.node.nextSibling !== next) {
      list.insertBefore(item.node, next);
    }
    empty.hidden = true;
  }

  return {
    setCall(summary) {
      for (const item of call(summary)) place(item);
      for (const late of summary.late_tools ?? []) {
        this.addNote({
          at_ms: summary.duration_ms,
          kind: "tool",
          text: late.tool,
          detail: `after the call: ${late.output}`,
        });
      }
    },
    setTurn(turn) {
      const known = turns.get(turn.n) ?? { ...turnItem(caller, turn.n), at_ms: null };
      turns.set(turn.n, known);
      known.set(turn);
      if (known.at_ms === turn.at_ms) return;
      known.at_ms = turn.at_ms;
      place(known);
    },
    addNote(note) {
      const key = JSON.stringify([note.at_ms, note.kind, note.text, note.detail]);
      if (!(note.kind in NOTES) || noted.has(key)) return;
      noted.add(key);
      place({ at_ms: note.at_ms, node: noteNode(note) });
    },
  };
}

// The greeting, the words that the caller is saying now, and how the call ended.
function callItems(caller) {
  const greeting = { at_ms: -1, node: null };
  const partial = { at_ms: Infinity, node: null };
  const end = { at_ms: Infinity, node: null };
  const words = { greeting: element("p"), partial: element("p", { class: "partial" }) };
  const ending = element("p");
  return (summary) => {
    const changed = [];
    const once = (item, make) => {
      if (item.node) return;
      item.node = make();
      changed.push(item);
    };
    if (summary.greeting) {
      once(greeting, () => greetingNode(words.greeting, summary.greeting_ms));
      setText(words.greeting, summary.greeting);
    }
    if (summary.partial) once(partial, () => sideNode("caller", caller, words.partial));
    if (partial.node) partial.node.hidden = !summary.partial;
    setText(words.partial, summary.partial ?? "");
    if (summary.ended) {
      once(end, () => element("li", { class: "ending" }, ending));
      setText(ending, endOf(summary));
    }
    return changed;
  };
}

function endOf({ duration_ms, reason, voicemail }) {
  const left = voicemail ? ` Left on the machine: “${voicemail}”` : "";
  return `The call ended after ${clock(duration_ms)}${reason ? `: ${reason}` : ""}.${left}`;
}

function greetingNode(words, greeting_ms) {
  const node = sideNode("agent", "Agent", words);
  if (greeting_ms != null) {
    node.append(element("p", { class: "times" }, `greeting sent after ${ms(greeting_ms)}`));
  }
  return node;
}

function sideNode(side, name, words) {
  const said = element("div", { class: `said ${side}` }, element("h3", {}, name), words);
  return element("li", { class: "turn" }, element("div", { class: "words" }, said));
}

function turnItem(name, n) {
  const caller = element("p");
  const said = element("span");
  const unheard = element("del");
  const reply = element("p", {}, said, unheard);
  const answer = element("div", { class: "said agent" }, element("h3", {}, "Agent"), reply);
  const time = element("time");
  const words = element("div", { class: "words" });
  words.append(
    element("div", { class: "said caller" }, element("h3", {}, `${name} `, time), caller),
    answer,
  );
  const picture = element("div", { class: "times" });
  const node = element("li", { class: "turn", "data-n": n }, words, picture);
  let drawn = "";
  function set(turn) {
    setText(time, clock(turn.at_ms));
    setText(caller, turn.caller);
    const split = splitReply(turn);
    setText(said, split.said && split.unheard ? `${split.said} ` : split.said);
    setUnheard(unheard, split.unheard);
    answer.hidden = !split.said && !split.unheard;
    const moments = JSON.stringify(turn.moments_ms ?? {});
    if (moments === drawn) return;
    drawn = moments;
    picture.replaceChildren(...(moments === "{}" ? [] : [waterfall(turn.moments_ms)]));
  }
  return { node, set };
}

function setUnheard(target, text) {
  if (target.dataset.text === text) return;
  target.dataset.text = text;
  target.hidden = !text;
  const before = element("span", { class: "unseen" }, "(not heard: ");
  target.replaceChildren(before, text, element("span", { class: "unseen" }, ")"));
}

function noteNode({ at_ms, kind, text, detail, ms: took_ms }) {
  const took = took_ms == null ? "" : ` · ${ms(took_ms)}`;
  const time = element("time", {}, clock(at_ms));
  const line = element("p", {}, time, ` ${NOTES[kind]}${text}${took}`);
  const node = element("li", { class: `note ${kind}` }, line);
  if (detail) node.append(element("p", { class: "detail" }, detail));
  return node;
}
