// The editor of regions: it makes [[zone]] tables to paste, and has them checked. It writes nothing.
"use strict";

const LEAST = 0.02, STEP = 0.01;  // of the frame: the smallest side, and one press of an arrow key
const CORNERS = [[0, 0], [1, 0], [1, 1], [0, 1]];
const editor = { regions: [], selected: -1, drag: null, due: 0, asked: 0 };

const rounded = (share) => Math.round(share * 1000) / 1000;
const within = (value, low, high) => Math.min(Math.max(value, low), high);
const shown = (share) => `${(share * 100).toFixed(1).replace(".0", "")} %`;

// --- the image

async function fetchGround() {
  const still = await picture("frame.jpg").catch(() => null);
  put_picture($("ground"), still);
  $("no-still").hidden = Boolean(still);
  document.querySelector(".drawing").hidden = !still;
  if (still) drawRegions();
}

// Where a pointer is, as shares of the frame, which is fitted into its place.
function placeOf(event) {
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform($("drawing").getScreenCTM().inverse());
  const { naturalWidth: width, naturalHeight: height } = $("ground");
  return [within(at.x / width, 0, 1), within(at.y / height, 0, 1)];
}

function drawRegions() {
  const { naturalWidth: width, naturalHeight: height, clientWidth, clientHeight } = $("ground");
  if (!width) return;
  $("drawing").setAttribute("viewBox", `0 0 ${width} ${height}`);
  const unit = Math.max(width / Math.max(1, clientWidth), height / Math.max(1, clientHeight));
  const focused = document.activeElement.closest?.("#drawing g")?.dataset.index;
  $("drawing").replaceChildren(...editor.regions.map((region, index) => groupOf(region, index, width, height, unit)));
  if (focused !== undefined) $("drawing").querySelector(`g[data-index="${focused}"]`)?.focus({ preventScroll: true });
}

function groupOf({ name, box: [x, y, w, h] }, index, width, height, unit) {
  const place = { x: x * width, y: y * height, width: w * width, height: h * height };
  const label = `${name || "region without a name"}: x ${shown(x)}, y ${shown(y)}, width ${shown(w)}, height ${shown(h)}`;
  const group = drawn("g", { class: `series${index % SERIES}`, tabindex: 0, role: "button", "aria-label": label, "data-index": index });
  group.append(drawn("rect", { class: "halo", ...place }), drawn("rect", { class: "area", ...place }));
  group.append(drawn("text", { x: place.x + 6 * unit, y: place.y + 18 * unit, "font-size": 14 * unit }, name));
  if (index === editor.selected) {
    group.setAttribute("aria-current", "true");
    CORNERS.forEach(([right, low], corner) => {
      const at = { cx: place.x + right * place.width, cy: place.y + low * place.height };
      group.append(drawn("circle", { class: "corner", r: 6 * unit, ...at }), drawn("circle", { class: "grip", r: 18 * unit, "data-corner": corner, ...at }));
    });
  }
  return group;
}

// --- the list and the TOML

function showList() {
  $("region-list").replaceChildren(...editor.regions.map((region, index) => {
    const row = make("li", undefined, `series${index % SERIES}`), name = make("input"), remove = make("button", "Remove");
    name.value = region.name;
    name.maxLength = 32;
    name.autocomplete = "off";
    name.setAttribute("aria-label", `Name of region ${index + 1}`);
    name.onfocus = () => select(index);
    name.oninput = () => { region.name = name.value.trim(); drawRegions(); showToml(); };
    remove.type = "button";
    remove.setAttribute("aria-label", `Remove ${region.name || `region ${index + 1}`}`);
    remove.onclick = () => removeRegion(index);
    row.append(make("i"), name, make("span", region.box.map(shown).join(", "), "quiet"), remove);
    return row;
  }));
}

function tables() {
  return editor.regions.map(({ name, roi, rest }) => ["[[zone]]", `name = ${JSON.stringify(name)}`, `roi = [${roi.join(", ")}]`, ...rest].join("\n")).join("\n\n");
}

function showToml() {
  $("toml").value = tables();
  $("toml").rows = within($("toml").value.split("\n").length, 4, 14);
  clearTimeout(editor.due);
  editor.due = setTimeout(check, 250);
}

async function check() {
  const number = ++editor.asked, place = $("checked");
  if (!editor.regions.length) { place.dataset.is = ""; put("checked", "Without a region, the whole frame is one zone."); return; }
  try {
    const answer = await ask("zones/check", { method: "POST", body: $("toml").value });
    if (number !== editor.asked) return;
    const { fault, notes } = JSON.parse(await answer.text());
    place.dataset.is = fault ? "fault" : "good";
    put("checked", fault || ["Valid.", ...notes].join(" "));
  } catch {
    place.dataset.is = "fault";
    put("checked", "The service did not respond: not checked.");
  }
}

function show() { drawRegions(); showList(); showToml(); }

// --- changes

function select(index) {
  if (editor.selected === index) return;
  editor.selected = index;
  drawRegions();
}

function place(region, x, y, w, h) {
  region.box = [x, y, w, h].map(rounded);
  region.roi = region.box;
}

function freeName() {
  for (let number = 1; ; number += 1) if (!editor.regions.some(({ name }) => name === `zone${number}`)) return `zone${number}`;
}

function addRegion(x, y, w, h) {
  const region = { name: freeName(), rest: [] };
  place(region, x, y, w, h);
  editor.regions.push(region);
  editor.selected = editor.regions.length - 1;
}

function removeRegion(index) {
  editor.regions.splice(index, 1);
  editor.selected = Math.min(editor.selected, editor.regions.length - 1);
  show();
  ($("region-list").querySelectorAll("input")[editor.selected] || $("add")).focus();
}

// Each drag goes from where it began, so that nothing is lost at the edges.
function dragged({ kind, from: [fx, fy], box: [x, y, w, h], corner }, [px, py]) {
  if (kind === "move") return [within(x + px - fx, 0, 1 - w), within(y + py - fy, 0, 1 - h), w, h];
  const [right, low] = CORNERS[corner];
  const ax = right ? x : x + w, ay = low ? y : y + h;  // the corner that stays
  return [Math.min(ax, px), Math.min(ay, py), Math.abs(px - ax), Math.abs(py - ay)];
}

$("drawing").onpointerdown = (event) => {
  if (event.button || editor.drag) return;
  event.preventDefault();
  const at = placeOf(event), index = Number(event.target.closest("g")?.dataset.index ?? -1), corner = event.target.dataset.corner;
  $("drawing").setPointerCapture(event.pointerId);
  if (index >= 0) {
    const box = editor.regions[index].box;
    editor.drag = corner === undefined ? { kind: "move", from: at, box, index } : { kind: "resize", from: at, box, corner: Number(corner), index };
    select(index);
    $("drawing").querySelector(`g[data-index="${index}"]`).focus({ preventScroll: true });
  } else {
    editor.drag = { kind: "new", from: at, box: [...at, 0, 0], corner: 2, index: -1 };
  }
};

$("drawing").onpointermove = (event) => {
  const { drag } = editor;
  if (!drag) return;
  const box = dragged(drag, placeOf(event));
  if (drag.index < 0) {
    if (Math.max(box[2], box[3]) < LEAST) return;  // a tap, so far
    addRegion(...box);
    drag.index = editor.selected;
  }
  place(editor.regions[drag.index], ...box);
  drawRegions();
};

$("drawing").onpointerup = $("drawing").onpointercancel = () => {
  const { drag } = editor;
  editor.drag = null;
  if (!drag) return;
  if (drag.index < 0) { select(-1); return; }
  const region = editor.regions[drag.index], [x, y, w, h] = region.box;
  if (drag.kind !== "move") {
    const width = Math.max(w, LEAST), height = Math.max(h, LEAST);
    place(region, Math.min(x, 1 - width), Math.min(y, 1 - height), width, height);
  }
  show();
};

const ARROWS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

$("drawing").onkeydown = (event) => {
  const index = Number(event.target.closest("g")?.dataset.index ?? -1), region = editor.regions[index];
  if (!region) return;
  select(index);
  const [x, y, w, h] = region.box;
  if (event.key === "Delete" || event.key === "Backspace") removeRegion(index);
  else if (event.key in ARROWS) {
    const [dx, dy] = ARROWS[event.key];
    if (event.shiftKey) place(region, x, y, within(w + dx, LEAST, 1 - x), within(h + dy, LEAST, 1 - y));
    else place(region, within(x + dx, 0, 1 - w), within(y + dy, 0, 1 - h), w, h);
    show();
  } else return;
  event.preventDefault();
};

$("drawing").addEventListener("focusin", (event) => { if (!editor.drag) select(Number(event.target.closest("g")?.dataset.index ?? -1)); });

$("add").onclick = () => {
  addRegion(0.3, 0.3, 0.4, 0.4);
  show();
  $("drawing").querySelector(`g[data-index="${editor.selected}"]`)?.focus();
};
$("refresh").onclick = fetchGround;
$("close-regions").onclick = () => $("regions").close();

// navigator.clipboard is there over HTTPS and on localhost alone.
$("copy").onclick = async () => {
  try {
    await navigator.clipboard.writeText($("toml").value);
  } catch {
    $("toml").select();
    document.execCommand("copy");
  }
  put("copy", "Copied");
  setTimeout(() => put("copy", "Copy"), 1500);
};

function boxOf(roi) {
  if (!roi.length) return [0, 0, 1, 1];
  if (roi.length === 4) return [...roi];
  const xs = roi.filter((_, i) => i % 2 === 0), ys = roi.filter((_, i) => i % 2);
  const x = Math.min(...xs), y = Math.min(...ys);
  return [x, y, Math.max(...xs) - x, Math.max(...ys) - y].map(rounded);
}

$("draw").onclick = async () => {
  const { zones } = await document_("zones.json").catch(() => ({ zones: [] }));
  editor.regions = zones.map(({ name, roi, rest }) => ({ name, roi, rest, box: boxOf(roi) }));
  editor.selected = -1;
  $("regions").showModal();
  show();
  await fetchGround();
};
window.addEventListener("resize", drawRegions);
