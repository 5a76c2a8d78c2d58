// The list of calls: those under way, polled while somebody looks, and below them those that are over.

import { clock, element, setText } from "./dom.js";
import { fetchJSON, poll } from "./poll.js";
import { isSlow, latency, phaseOf, stateOf, when, who } from "./said.js";

// Calls asked for at once, beside those under way; and the most that the server tells.
const LIMIT = 50;
const MOST = 200;
// Between two polls the page counts itself.
const TICK_MS = 100;
// The server's word on how long a call lasts is taken anew when ours is off by this much: the page
// or the machine was asleep.
const ASTRAY_MS = 1500;

const LIVE = [
  ["caller", "Caller"],
  ["phase", "Phase"],
  ["lasts", "Lasting"],
  ["last", "Last answer"],
  ["worst", "Worst"],
  ["turns", "Turns"],
  ["state", "State"],
];
const OVER = [
  ["caller", "Caller"],
  ["began", "Began"],
  ["lasts", "Lasted"],
  ["last", "Last answer"],
  ["worst", "Worst"],
  ["turns", "Turns"],
  ["state", "How it ended"],
];

// Show the list in `container`; the function that is returned takes it away.
export function show(container) {
  const view = draw(container);
  const calls = new Map(); // by key, as they were told last
  let limit = LIMIT;
  let knows_oldest = false;
  const live = rows(view.live, LIVE);
  const over = rows(view.over, OVER);

  function render() {
    const newest = [...calls.values()].sort((one, other) => other.started_at - one.started_at);
    const under_way = newest.filter((call) => !call.ended);
    const ended = newest.filter((call) => call.ended);
    const focused = document.activeElement?.getAttribute("href");
    view.steady(() => {
      live.set(under_way);
      over.set(ended);
      view.counted(under_way.length, ended.length);
    });
    // The row of a call that has just ended is another one: its reader stays with it.
    if (focused && document.activeElement === document.body) over.focus(focused);
  }

  async function newest(signal) {
    const summaries = await fetchJSON(`/api/calls?limit=${limit}`, signal);
    const is_all = summaries.length < limit;
    forget(calls, summaries, is_all);
    for (const call of summaries) calls.set(key(call), call);
    render();
    limit = Math.min(MOST, LIMIT + summaries.filter((call) => !call.ended).length);
    view.older.hidden = is_all || knows_oldest;
  }

  async function older() {
    view.older.disabled = true;
    try {
      const before = Math.min(...startsOf([...calls.values()]));
      const found = await fetchJSON(`/api/calls?limit=${LIMIT}&before=${before}`);
      for (const call of found) if (!calls.has(key(call))) calls.set(key(call), call);
      knows_oldest = found.length < LIMIT;
      view.older.hidden = knows_oldest;
      render();
    } catch (error) {
      view.lost(error);
    } finally {
      view.older.disabled = false;
    }
  }

  view.older.addEventListener("click", older);
  const stop = poll(newest, view.lost);
  const ticking = setInterval(() => live.tick(), TICK_MS);
  return () => {
    stop();
    clearInterval(ticking);
    view.leave();
  };
}

// A caller who was put through in vain comes back under the same id.
const key = (call) => `${call.call_sid} ${call.started_at}`;

// When the calls that are over began; of all calls if none is over.
function startsOf(calls) {
  const over = calls.filter((call) => call.ended);
  return (over.length ? over : calls).map((call) => call.started_at);
}

// Forget the calls that the server would have told of and has not: it keeps them no longer. Those
// that are older than what it tells stay as they are.
function forget(calls, summaries, is_all) {
  const since = is_all ? -Infinity : Math.min(...startsOf(summaries));
  const told = new Set(summaries.map(key));
  for (const [known, call] of calls) {
    const is_told = call.started_at >= since || !call.ended;
    if (is_told && !told.has(known)) calls.delete(known);
  }
}

function draw(container) {
  const title = element("h1", {}, "Calls");
  const lost = element("p", { class: "alert", role: "status", hidden: true });
  const empty = element("p", { class: "empty", hidden: true }, "Nobody has called yet. ");
  empty.append(element("a", { href: "#/" }, "Talk to it here"), ", or call its number.");
  const live = section("Live", LIVE);
  const over = section("Finished", OVER);
  const older = element("button", { type: "button", hidden: true }, "Older calls");
  over.node.append(older);
  container.append(title, lost, empty, live.node, over.node);
  let since = "";
  // We keep our place ourselves; a browser that does so, too, would do it twice.
  document.documentElement.classList.add("steady");
  return {
    leave: () => document.documentElement.classList.remove("steady"),
    steady: (change) => keepPlace(container, change),
    live: live.body,
    over: over.body,
    older,
    counted(n_live, n_over) {
      empty.hidden = n_live + n_over > 0;
      setText(live.count, String(n_live));
      live.none.hidden = n_live > 0;
      live.table.hidden = n_live === 0;
      live.node.hidden = n_live + n_over === 0;
      over.node.hidden = n_over === 0;
      since = new Date().toLocaleTimeString();
    },
    lost(error) {
      lost.hidden = !error;
      const shown = since ? ` What is shown is from ${since}.` : "";
      setText(lost, error ? `Connection lost; trying again.${shown}` : "");
    },
  };
}

// Change the lists; the first row that is in sight stays where it is, unless all is in sight.
function keepPlace(container, change) {
  const in_sight = (row) => row.getBoundingClientRect().bottom > 0;
  const row = scrollY > 0 ? [...container.querySelectorAll("tbody tr")].find(in_sight) : null;
  const top = row?.getBoundingClientRect().top;
  change();
  if (row?.isConnected) scrollBy(0, row.getBoundingClientRect().top - top);
}

// The roles are those that a table's parts have, said again: a phone's style takes them away.
function section(name, columns) {
  const count = element("span", { class: "count" });
  const head = element("tr", { role: "row" });
  for (const [column, label] of columns) {
    head.append(element("th", { scope: "col", role: "columnheader", class: `of-${column}` }, label));
  }
  const body = element("tbody", { role: "rowgroup" });
  const table = element("table", { class: "table calls", role: "table", "aria-label": name });
  table.append(element("thead", { role: "rowgroup" }, head), body);
  const none = element("p", { class: "quiet", hidden: true }, "Nobody is on the phone.");
  const node = element("section", { hidden: true });
  node.append(element("h2", {}, name, " ", name === "Live" ? count : ""), none, table);
  return { node, body, table, count, none };
}

// A table's rows by call, changed in place: what has the focus keeps it.
function rows(body, columns) {
  const shown = new Map();
  return {
    set(calls) {
      const wanted = new Set(calls.map(key));
      for (const [known, row] of shown) {
        if (wanted.has(known)) continue;
        row.node.remove();
        shown.delete(known);
      }
      let place = body.firstChild;
      for (const call of calls) {
        const row = shown.get(key(call)) ?? newRow(call, columns);
        shown.set(key(call), row);
        row.set(call);
        if (row.node === place) place = place.nextSibling;
        else body.insertBefore(row.node, place);
      }
    },
    tick() {
      const now = performance.now();
      for (const row of shown.values()) row.tick(now);
    },
    focus(href) {
      const links = body.querySelectorAll("a");
      const link = [...links].find((each) => each.getAttribute("href") === href);
      link?.focus({ preventScroll: true });
    },
  };
}

function newRow(call, columns) {
  const link = element("a", { href: `#/call/${encodeURIComponent(call.call_sid)}` });
  const called = element("span", { class: "called" });
  const node = element("tr", { role: "row" });
  const cells = {};
  for (const [column] of columns) {
    const is = { class: `of-${column}` };
    cells[column] =
      column === "caller"
        ? element("th", { scope: "row", role: "rowheader", ...is }, link, called)
        : element("td", { role: "cell", ...is });
    node.append(cells[column]);
  }
  let began = Infinity;
  function tick(now) {
    setText(cells.lasts, clock(now - began));
  }
  function set(told) {
    setText(link, who(told));
    setText(called, told.called ? `to ${told.called}` : "");
    if (cells.phase) setText(cells.phase, phaseOf(told));
    if (cells.began) setText(cells.began, when(told.started_at));
    for (const [cell, n_ms] of [
      [cells.last, told.last_ms],
      [cells.worst, told.worst_ms],
    ]) {
      setText(cell, latency(n_ms));
      cell.classList.toggle("slow", isSlow(n_ms));
    }
    setText(cells.turns, String(told.n_turns));
    setText(cells.state, stateOf(told));
    if (told.ended) return setText(cells.lasts, clock(told.duration_ms));
    // An answer that took longer says that the call began later than it did: the earliest is right.
    const now = performance.now();
    const begins = now - told.duration_ms;
    began = begins - began > ASTRAY_MS ? begins : Math.min(began, begins);
    tick(now);
  }
  return { node, set, tick };
}
