// How far one check is: steps with ticks, a bar, a calm time, Cancel, and the first frame as soon as it can be read.
const watching = new WeakMap();

export default function ({ data, parentElement, setTriggerValue }) {
  if (late(parentElement, data.turn)) return;
  clearTimeout(watching.get(parentElement));
  const root = parentElement.querySelector(".root");
  const steps = el("ul", { class: "steps" });
  const fill = el("i"), left = el("p", { class: "left" }), aloud = el("p", { class: "aloud", role: "status" });
  const bar = el("div", { class: "bar", role: "progressbar", "aria-label": "Share of the check that is done", "aria-valuemin": 0, "aria-valuemax": 100 }, fill);
  const cancel = el("button", { type: "button" }, "Cancel");
  const picture = el("img", { alt: "First frame of the file that is being checked", src: `${data.base}/check/${data.check}/first`, hidden: true });
  picture.onload = () => { picture.hidden = false; };
  root.replaceChildren(
    el("div", { class: "two" },
      el("div", { class: "card" }, steps, bar, left, aloud, cancel),
      el("div", { class: "card frame" }, picture)));

  let over = false, spoken = 0, watched = false;
  cancel.onclick = async () => {
    over = true;
    cancel.disabled = true;
    cancel.textContent = "Stopped";
    aloud.textContent = "Stopped";
    await json(`${data.base}/check/${data.check}/stop`, { method: "POST", headers: { "X-Unmask-Ticket": data.ticket } }).catch(() => null);
    setTriggerValue("cancel", data.check);
  };
  const look = async () => {
    if (over || !root.isConnected) return;
    const now = await json(`${data.base}/check/${data.check}${watched ? "?wait=1" : ""}`).catch(() => null);
    if (over || !root.isConnected) return;
    if (now && (!now.ok || (now.state !== "waiting" && now.state !== "running"))) {
      setTriggerValue("over", data.check);
      return;
    }
    if (now) {
      const done = now.steps.map((step) => el("li", { class: "done" }, el("span", { class: "aloud" }, "Done: "), step));
      steps.replaceChildren(...done, el("li", { "aria-current": "step" }, now.what.charAt(0).toUpperCase() + now.what.slice(1)));
      const share = Math.round(100 * now.done);
      fill.style.width = `${share}%`;
      bar.setAttribute("aria-valuenow", share);
      left.textContent = now.left || " ";
      if (Date.now() - spoken > 10000) {
        spoken = Date.now();
        aloud.textContent = `Checking ${data.name}. ${now.left || now.what}`;
      }
    }
    watched = true;
    // a server that does not answer is asked less often
    watching.set(parentElement, setTimeout(look, now ? 10 : 1000));
  };
  look();
}
