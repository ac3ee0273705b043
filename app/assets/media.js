// The frame with numbered boxes, the heatmap over it, and the strip of frames. The slider only changes the opacity of
// the heatmap's picture: no rerun, no inference. Everything from Python is set as text or attribute, never as HTML.
const strengths = new WeakMap();
const turns = new WeakMap();

// on a photo the theme does not matter: the light tones of the bands, readable under dark numbers
const COLOURS = { little: "#7FA8D1", weak: "#E0BE4F", strong: "#EE8A43", very_strong: "#E5656A", none: "#B4BAC8" };

function element(tag, attributes = {}, text = "") {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text) node.textContent = text;
  return node;
}

function box(face, setTriggerValue) {
  const [x0, y0, x1, y1] = face.box;
  const button = element("button", { type: "button", class: "box", "aria-label": face.label, title: face.label });
  button.classList.toggle("rest", !face.selected);
  button.classList.toggle("inside", y0 < 0.09);
  button.style.left = `${100 * x0}%`;
  button.style.top = `${100 * y0}%`;
  button.style.width = `${100 * (x1 - x0)}%`;
  button.style.height = `${100 * (y1 - y0)}%`;
  button.style.setProperty("--c", COLOURS[face.band] ?? COLOURS.none);
  button.append(element("span", { "aria-hidden": "true" }, String(face.number)));
  button.onclick = () => setTriggerValue("person", face.number);
  return button;
}

export default function ({ data, parentElement, setTriggerValue }) {
  // Streamlit waits for an import before each call, and in a busy browser the calls overtake each other
  if (data.turn < (turns.get(parentElement) ?? 0)) return;
  turns.set(parentElement, data.turn);

  const root = parentElement.querySelector(".root");
  const focused = parentElement.activeElement?.dataset?.focus ?? root.getRootNode().activeElement?.dataset?.focus;
  const strength = strengths.get(parentElement) ?? 55;

  const stage = element("div", { class: "stage", role: "group", "aria-label": data.stage });
  const fit = element("div", { class: "fit" });
  // a tall picture is narrowed instead of pushing the page down
  fit.style.maxWidth = `${Math.round((data.max_height * data.width) / data.height)}px`;
  fit.style.aspectRatio = `${data.width} / ${data.height}`;
  let heat = null;
  if (data.frame) fit.append(element("img", { src: data.frame, alt: data.alt }));
  if (data.heat) {
    heat = element("img", { src: data.heat, alt: "" });
    heat.style.opacity = strength / 100;
    fit.append(heat);
  }
  for (const face of data.faces) fit.append(box(face, setTriggerValue));
  stage.append(fit);

  const bar = element("div", { class: "bar" });
  bar.append(element("span", {}, data.caption));
  if (heat) {
    const label = element("label", {}, data.heat_label);
    const slider = element("input", { type: "range", min: 0, max: 100, step: 5, value: strength, "data-focus": "heat",
      "aria-label": `${data.heat_label}: strength over the picture` });
    const say = () => slider.setAttribute("aria-valuetext", slider.value === "0" ? "plain picture" : `${slider.value} %`);
    say();
    slider.oninput = () => {
      heat.style.opacity = slider.value / 100;
      strengths.set(parentElement, Number(slider.value));
      say();
    };
    label.append(slider);
    bar.append(label);
  } else if (data.heat_label) {
    bar.append(element("span", { role: "status" }, data.heat_label));
  }

  const parts = [stage, bar];
  if (data.film.length) {
    const film = element("div", { class: "film", role: "group", "aria-label": "Frames that matter" });
    for (const still of data.film) {
      const button = element("button", { type: "button", "data-focus": `film${still.time_s}`, "aria-label": `Show the frame at ${still.label}`,
        "aria-current": String(still.selected) });
      const picture = element("span", { class: "pic" });
      if (still.src) picture.style.backgroundImage = `url("${still.src}")`;
      picture.style.backgroundPosition = `${still.x}% ${still.y}%`;
      button.append(picture, element("span", {}, still.label));
      button.onclick = () => setTriggerValue("time_s", still.time_s);
      film.append(button);
    }
    parts.push(film);
  }
  root.replaceChildren(...parts);
  if (focused) root.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
}
