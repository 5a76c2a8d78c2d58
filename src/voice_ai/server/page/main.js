// The page's routes, by the location's hash, and what is said of the server on each of them.

import * as call from "./call.js";
import * as calls from "./calls.js";
import * as talk from "./talk.js";
import { element } from "./dom.js";

const POLL_MS = 2000;
const main = document.getElementById("main");
let leave = () => {};

function route() {
  const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  if (name === "calls") return ["calls", calls, {}];
  if (name === "call" && rest.length) {
    return ["calls", call, { call_sid: decodeURIComponent(rest.join("/")) }];
  }
  return ["talk", talk, {}];
}

function show() {
  const [name, page, params] = route();
  leave();
  main.replaceChildren();
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.page === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  leave = page.show(main, params) ?? (() => {});
  window.scrollTo(0, 0);
}

// "#main" would be a route: the link moves the focus itself.
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

async function tellState() {
  const state = document.getElementById("state");
  let about = null;
  try {
    const answer = await fetch("/api/about");
    if (answer.ok) about = await answer.json();
  } catch {
    // The server is gone: said below.
  }
  const text = !about ? "no server" : about.ready ? "ready" : about.waiting_for;
  if (state.textContent !== text) state.textContent = text;
  state.dataset.is = about?.ready ? "ready" : "waiting";
  if (about) tellAbout(about);
  if (!about?.ready) setTimeout(tellState, POLL_MS);
}

function tellAbout(about) {
  const lines = [
    element("span", {}, `${about.agent ? `${about.agent} · ` : ""}${about.providers}`),
    element("span", {}, "webhook ", element("code", {}, about.webhook)),
    element("span", {}, `voice_ai ${about.version}`),
  ];
  document.getElementById("foot").replaceChildren(...lines);
}

window.addEventListener("hashchange", () => {
  show();
  main.focus({ preventScroll: true });
});
show();
tellState();
