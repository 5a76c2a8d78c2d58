// The elements of the talk page, and what can be said to them.

import { clock, element, setText } from "./dom.js";
import { renderConversation } from "./turns.js";

const PHASES = {
  "before the call": "Connecting",
  "nobody speaks": "Listening",
  "the caller speaks": "You speak",
  "a reply was asked for and none of it is on the wire": "Thinking",
  "our turn is on the wire or being played": "Speaking",
  "our last words are being played": "Saying goodbye",
  "our turn is held back: perhaps the caller has begun": "Waiting for you",
  "after the call": "Over",
};
const SHOWN = {
  caller: "You",
  hint: "Press Call and speak. You may interrupt at any moment.",
};
const INPUT = {
  type: "text",
  id: "words",
  autocomplete: "off",
  maxlength: "2000",
  enterkeyhint: "send",
  placeholder: "or type instead",
};
// Who is this near to the end of the page is following the conversation.
const FOLLOWS_PX = 160;

export class View {
  constructor(container) {
    this.button = element("button", { class: "main", type: "button", id: "call" }, "Call");
    this.mute = element("button", { type: "button", id: "mute", "aria-pressed": "false" }, "Mute");
    this.phase = element("span", { id: "phase" });
    // Phases change with every turn: screen readers are told what the user did not bring about.
    this.status = element("p", { class: "unseen", role: "status" });
    this.time = element("time");
    this.alert = element("p", { class: "alert", role: "alert", id: "problem", hidden: true });
    this.meters = { caller: element("span"), agent: element("span") };
    this.input = element("input", INPUT);
    this.form = element(
      "form",
      { class: "typing" },
      element("label", { for: "words", class: "unseen" }, "Type what you would say"),
      element("div", {}, this.input, element("button", { type: "submit" }, "Send")),
    );
    this.head = element("h1", { id: "said", class: "unseen" }, "Conversation");
    this.words = element("section", { "aria-labelledby": "said" });
    this.ticking = 0;
    container.append(element("div", { class: "talk" }, this.panel(), this.words));
    this.empty();
  }

  panel() {
    return element(
      "section",
      { class: "panel", "aria-label": "The call" },
      element("div", { class: "buttons" }, this.button, this.mute),
      element("p", { class: "phase" }, this.phase, this.time),
      this.status,
      this.alert,
      element(
        "div",
        { class: "meters", "aria-hidden": "true" },
        "You",
        element("div", { class: "meter caller" }, this.meters.caller),
        "Agent",
        element("div", { class: "meter" }, this.meters.agent),
      ),
      this.form,
    );
  }

  empty() {
    this.words.replaceChildren(this.head);
    this.conversation = renderConversation(this.words, SHOWN);
  }

  began() {
    this.empty();
    this.warn("");
    this.button.dataset.is = "up";
    setText(this.button, "Hang up");
    setText(this.time, "");
  }

  connected() {
    const began = Date.now();
    const tick = () => setText(this.time, clock(Date.now() - began));
    this.says("Connected");
    setText(this.status, "Connected");
    this.ticking = setInterval(tick, 1000);
    tick();
  }

  ended(why) {
    clearInterval(this.ticking);
    delete this.button.dataset.is;
    setText(this.button, "Call");
    const over = why ? "" : "The call is over";
    this.says(over);
    setText(this.status, over);
    this.warn(why);
    this.levels(0, 0);
  }

  get muted() {
    return this.mute.getAttribute("aria-pressed") === "true";
  }

  says(text) {
    setText(this.phase, text);
  }

  warn(text) {
    setText(this.alert, text);
    this.alert.hidden = !text;
  }

  levels(caller, agent) {
    this.meters.caller.style.transform = `scaleX(${caller.toFixed(3)})`;
    this.meters.agent.style.transform = `scaleX(${agent.toFixed(3)})`;
  }

  // Take what the server tells of the call, and stay at its end if that is what was looked at.
  told(message) {
    const { scrollHeight, clientHeight, scrollTop } = document.scrollingElement;
    const follows = scrollHeight - clientHeight - scrollTop < FOLLOWS_PX;
    if (message.event === "call") {
      this.says(PHASES[message.call.phase] ?? message.call.phase);
      this.conversation.setCall(message.call);
    }
    if (message.event === "turn") this.conversation.setTurn(message.turn);
    if (message.event === "note") this.conversation.addNote(message.note);
    if (follows) window.scrollTo(0, document.scrollingElement.scrollHeight);
  }
}
