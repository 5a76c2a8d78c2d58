// Elements without a framework. Text is text: nothing that anybody said is ever parsed.

// Make an element; `given` are its attributes, `children` elements or texts.
export function element(name, given = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(given)) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// Set an element's text if it is another one: what has not changed is not laid out again.
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

// 95 -> "95 ms", 1240 -> "1,240 ms"
export function ms(n) {
  return `${Math.round(n).toLocaleString("en")} ms`;
}

// 65000 -> "1:05"
export function clock(n_ms) {
  const s = Math.max(0, Math.floor(n_ms / 1000));
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
}
