// How much of a reply was heard: what the server says was heard is spoken text, the reply is written.

// Return what the caller has heard of a turn's reply, and what was written beyond it.
export function splitReply(turn) {
  const { reply = "", heard = "", over = false, complete = false } = turn;
  if (!over || complete) return { said: reply || heard, unheard: "" };
  if (reply.startsWith(heard)) {
    return { said: heard.trimEnd(), unheard: reply.slice(heard.length).trim() };
  }
  return { said: heard, unheard: beyond(words(reply), words(heard)) };
}

function words(text) {
  return text.split(/\s+/).filter(Boolean);
}

const bare = (word) => word.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");

// Return what is written behind the words that are most like those that were spoken: by the least
// number of words to replace, drop or add, for each place where the spoken ones may end.
function beyond(written, spoken) {
  const wanted = written.map(bare);
  let row = [0, ...wanted.map((_, i) => i + 1)];
  for (const word of spoken.map(bare)) {
    const before = row;
    row = [before[0] + 1];
    for (const [i, other] of wanted.entries()) {
      row.push(Math.min(before[i + 1] + 1, row[i] + 1, before[i] + (word === other ? 0 : 1)));
    }
  }
  return written.slice(row.lastIndexOf(Math.min(...row))).join(" ");
}
