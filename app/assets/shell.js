// What the page owes to people who do not see it, and to those whose server has gone. Nothing here is seen otherwise.
const states = new WeakMap();
const HEALTH_MS = 4000;
const CLICK_MS = 2000;

function landmarks() {
  const bar = document.querySelector(".st-key-um-nav");
  bar?.setAttribute("role", "navigation");
  bar?.setAttribute("aria-label", "Pages");
}

// A click on another page can get lost: the bar is drawn anew between press and release, so that the browser sees no click
// on a link, or Streamlit folds it into a later request of the page that is left (its timer, its camera). It is made again.
const clicks = (window.unmaskClicks ??= { page: null, timer: null, listens: false });

function keepClicks() {
  if (clicks.listens) return;
  clicks.listens = true;
  let pressed = null;
  const links = () => [...document.querySelectorAll(".st-key-um-nav a")];
  const pageAt = (event) => event.target.closest?.(".st-key-um-nav a")?.textContent.trim();
  const forget = () => clearTimeout(clicks.timer);
  const watch = (page) => {
    let looks = 15;
    const look = () => {
      if (clicks.page !== page) links().find((link) => link.textContent.trim() === page)?.click();
      if (--looks) clicks.timer = setTimeout(look, CLICK_MS);
    };
    clicks.timer = setTimeout(look, CLICK_MS);
  };
  addEventListener("popstate", forget);
  addEventListener("pointerdown", (event) => {
    forget();
    const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey;
    pressed = plain ? pageAt(event) : null;
  }, { capture: true });
  addEventListener("pointerup", (event) => {
    if (pressed && pageAt(event) === pressed) watch(pressed);
  }, { capture: true });
  addEventListener("click", (event) => {
    // by the keyboard: nothing was pressed before
    if (!event.isTrusted || event.detail) return;
    forget();
    const page = pageAt(event);
    if (page) watch(page);
  }, { capture: true });
}

export default function ({ data, parentElement, setTriggerValue }) {
  if (late(parentElement, data.turn)) return;
  const root = parentElement.querySelector(".root");
  let state = states.get(parentElement);
  if (!state) {
    state = { place: data.place, aloud: el("p", { class: "aloud", role: "status" }), gone: el("div", { class: "gone", role: "alert", hidden: true }) };
    states.set(parentElement, state);
    root.replaceChildren(state.aloud, state.gone);
    addEventListener("beforeunload", (event) => { if (state.data.busy && root.isConnected) event.preventDefault(); });
    let missed = 0;
    const beat = async () => {
      const well = await fetch(`${state.data.health}`, { cache: "no-store" }).then((answer) => answer.ok, () => false);
      missed = well ? 0 : missed + 1;
      state.gone.textContent = state.data.gone;
      state.gone.hidden = missed < 2;
      // Streamlit's own window asks whether you are connected to the internet, and makes everything behind it inert
      if (missed) document.querySelector("[data-testid=stDialog] [aria-label=Close]")?.click();
      if (root.isConnected) setTimeout(beat, missed ? 1000 : HEALTH_MS);
    };
    setTimeout(beat, HEALTH_MS);
    // charts are drawn for one theme: they are drawn again when a reader takes the other
    const watch = () => {
      const theme = getComputedStyle(document.querySelector(".stApp")).colorScheme.includes("dark") ? "dark" : "light";
      if (state.theme && theme !== state.theme) setTriggerValue("theme", theme);
      state.theme = theme;
      if (root.isConnected) setTimeout(watch, 700);
    };
    watch();
    keepClicks();
  }
  state.data = data;
  clicks.page = data.page;
  landmarks();
  if (data.place !== state.place) {
    state.place = data.place;
    state.aloud.textContent = data.aloud;
    // after the page itself has been drawn: the reader goes on at its heading, not at the top of the window
    const focus = (tries) => {
      const heading = document.querySelector("[data-testid=stMain] .um h1");
      if (!heading && tries) return setTimeout(() => focus(tries - 1), 100);
      if (!heading || document.activeElement?.matches("input, textarea, select")) return;
      heading.tabIndex = -1;
      heading.focus({ preventScroll: true });
      document.querySelector("[data-testid=stMain]")?.scrollTo({ top: 0 });
    };
    setTimeout(() => focus(20), 50);
  }
}
