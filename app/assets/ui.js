// What the page's scripts share; put in front of each of them. Everything from Python is set as text or attribute, never
// as HTML.
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null && child !== ""));
  return node;
}

// Calls overtake each other in a busy browser: true for one whose data are older than what is shown.
const turns = new WeakMap();
function late(root, turn) {
  if (turn < (turns.get(root) ?? 0)) return true;
  turns.set(root, turn);
  return false;
}

async function json(url, options) {
  const answer = await fetch(url, options);
  const found = await answer.json().catch(() => ({}));
  return { ...found, ok: answer.ok };
}

// navigator.clipboard is missing on plain http from another machine: then the old way is taken.
async function copyText(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  const area = el("textarea");
  area.value = text;
  area.style.position = "fixed";
  area.style.opacity = "0";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("not copied");
}
