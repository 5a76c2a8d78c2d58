// Ask the server again and again, once a second, for as long as somebody looks.

const EVERY_MS = 1000;
// What is asked for is in the server's memory.
const TIMEOUT_MS = 5000;
// A server that does not answer is asked after twice the time, each time, but not later than this.
const LATEST_MS = 15000;

export class NotThereError extends Error {}

// Fetch JSON. Who may not see it is taken to where the password is asked for.
export async function fetchJSON(url, signal) {
  const answer = await fetch(url, { signal });
  if (answer.ok) return answer.json();
  if (answer.status === 403) location.assign("/login");
  if (answer.status === 404) throw new NotThereError(await answer.text());
  throw new Error(`The server answered ${answer.status}.`);
}

// Run `ask(signal)` once a second while the page is visible, until it returns false or the function
// that is returned is called. `lost` is told of each failure, and null whenever there was none.
export function poll(ask, lost) {
  let timer = 0;
  let n_failed = 0;
  let asking = null;
  let stopped = false;

  async function next() {
    const mine = (asking = new AbortController());
    const late = setTimeout(() => mine.abort(), TIMEOUT_MS);
    try {
      const goes_on = await ask(mine.signal);
      n_failed = 0;
      lost(null);
      if (goes_on === false) stop();
    } catch (error) {
      if (stopped) return;
      n_failed += 1;
      lost(error);
    } finally {
      clearTimeout(late);
      asking = null;
    }
    if (!stopped && !document.hidden) {
      timer = setTimeout(next, Math.min(LATEST_MS, EVERY_MS * 2 ** n_failed));
    }
  }

  function look() {
    clearTimeout(timer);
    if (!document.hidden && !asking) next();
  }

  function stop() {
    stopped = true;
    clearTimeout(timer);
    asking?.abort();
    document.removeEventListener("visibilitychange", look);
  }

  document.addEventListener("visibilitychange", look);
  look();
  return stop;
}
