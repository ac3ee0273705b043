// The checks of this page, each with its state, which is asked for while any of them is under way.
const watching = new WeakMap();

function state(check, now) {
  if (now.state === "done") return [el("i", { class: `dot ${now.band}` }), el("span", {}, now.said)];
  if (now.state === "running") return [el("span", {}, `${now.what}${now.left ? `, ${now.left.toLowerCase()}` : ""}`)];
  if (now.state === "waiting") return [el("span", {}, now.what)];
  return [el("span", {}, now.said ?? "Stopped")];
}

export default function ({ data, parentElement, setTriggerValue }) {
  if (late(parentElement, data.turn)) return;
  clearTimeout(watching.get(parentElement));
  const root = parentElement.querySelector(".root");
  const body = el("tbody");
  const cells = new Map();
  for (const check of data.checks) {
    const link = el("a", { href: `?check=${check.id}` }, check.name);
    link.onclick = (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      setTriggerValue("open", check.id);
    };
    const remove = el("button", { type: "button", "aria-label": `Forget ${check.name}` }, "Forget");
    remove.onclick = () => setTriggerValue("forget", check.id);
    const cell = el("td", { class: "state" }, ...state(check, check));
    const facts = el("td", { class: "small facts" }, check.facts);
    cells.set(check.id, { cell, facts });
    body.append(el("tr", {}, el("th", { scope: "row" }, link), facts, cell, el("td", { class: "act" }, remove)));
  }
  root.replaceChildren(el("table", {},
    el("caption", { class: "aloud" }, "Checks of this page"),
    el("thead", { class: "aloud" }, el("tr", {}, ...["File", "About it", "State", "Forget"].map((name) => el("th", { scope: "col" }, name)))),
    body));

  const look = async () => {
    let busy = false;
    for (const check of data.checks) {
      if (check.state !== "waiting" && check.state !== "running") continue;
      const now = await json(`${data.base}/check/${check.id}`).catch(() => null);
      if (now?.ok) {
        check.state = now.state;
        const { cell, facts } = cells.get(check.id);
        cell.replaceChildren(...state(check, now));
        facts.textContent = now.facts;
      }
      busy = true;
    }
    if (busy && root.isConnected) watching.set(parentElement, setTimeout(look, 500));
  };
  look();
}
