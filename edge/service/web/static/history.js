// The page of the history. Whatever comes from the service is put in as text, never as markup.
"use strict";

const SERIES = 5, EACH = 60;  // labels with a colour; events of one request
const PATIENCE_MS = 15000;
const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 220, LEFT = 46, RIGHT = 8, TOP = 10, BOTTOM = 24;

const $ = (id) => document.getElementById(id);
const known = { hours: [], number: null, turn: 0 };

// Paths are relative: the page may lie below a proxy's sub-path.
async function document_(path) {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), PATIENCE_MS);
  try {
    const answer = await fetch(path, { cache: "no-store", signal: controller.signal });
    const text = await answer.text();
    if (!answer.ok) throw new Error(text.trim());
    return JSON.parse(text);
  } finally {
    clearTimeout(timer);
  }
}

function make(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function drawn(tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function lasting(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 90) return `${s} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 172800) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} days`;
}

// --- what to show

const two = (number) => String(number).padStart(2, "0");
const written = (date) => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;

// Days are the viewer's own; one of them may have 23 or 25 hours.
function bounds() {
  const [year, month, day] = $("day").value.split("-").map(Number), days = Number($("days").value);
  if (!days || !year) return null;
  return [new Date(year, month - 1, day + 1 - days), new Date(year, month - 1, day + 1)];
}

function query(more = {}) {
  const asked = new URLSearchParams(), time = bounds();
  if (time) { asked.set("from", time[0].toISOString()); asked.set("to", time[1].toISOString()); }
  for (const name of ["label", "text"]) if ($(name).value.trim()) asked.set(name, $(name).value.trim());
  if ($("zone").value !== "*") asked.set("zone", $("zone").value);
  for (const [name, value] of Object.entries(more)) asked.set(name, value);
  return asked.toString();
}

function fill(select, first, names, title = (name) => name) {
  const chosen = select.value;
  if ([...select.options].slice(1).map((option) => option.value).join("\n") === names.join("\n")) return;
  select.replaceChildren(first, ...names.map((name) => {
    const option = make("option", title(name));
    option.value = name;
    return option;
  }));
  select.value = names.includes(chosen) ? chosen : first.value;
}

async function show() {
  const turn = known.turn += 1;
  known.number = null;
  $("day").disabled = $("earlier").disabled = $("later").disabled = $("days").value === "0";
  for (const name of ["events", "hours"]) for (const kind of ["csv", "json"]) $(`${name}-${kind}`).href = `history/${name}.${kind}?${query()}`;
  try {
    const [events, hours] = await Promise.all([document_(`history/events.json?${query({ limit: EACH + 1 })}`), document_(`history/hours.json?${query()}`)]);
    if (turn !== known.turn) return;  // something else was chosen meanwhile
    banner("");
    fill($("label"), $("label").options[0], events.labels);
    fill($("zone"), $("zone").options[0], events.zones, (name) => name || "whole image");
    $("of-zone").hidden = events.zones.length < 2;
    known.hours = hours.hours;
    drawChart();
    $("events").replaceChildren();
    add(events.events);
  } catch (error) {
    if (turn === known.turn) banner(`The history cannot be shown: ${error.name === "AbortError" ? "no response" : error.message}.`);
  }
}

function banner(line) {
  $("banner").textContent = line;
  $("banner").hidden = !line;
}

// --- events

function add(events) {
  $("more").hidden = events.length <= EACH;
  $("events").append(...events.slice(0, EACH).map(row));
  if (events.length) known.number = events[Math.min(events.length, EACH) - 1].number;
  $("no-events").textContent = $("events").childElementCount ? "" : "No state change in this time.";
}

function row(event) {
  const item = make("li"), text = make("div"), line = make("p", undefined, "quiet");
  const time = make("time", new Date(event.at).toLocaleString([], { dateStyle: "medium", timeStyle: "medium" }));
  time.dateTime = event.at;
  line.append(time, `, after ${lasting(event.lasted_s)} of ${event.from}`);
  if (event.clock_is_set === false) line.append(" (the clock was not set)");
  text.append(make("b", `${event.zone ? `${event.zone}: ` : ""}${event.to} ${event.score.toFixed(2)}`), line);
  item.append(event.image ? picture(event) : make("span", undefined, "none"), text);
  return item;
}

function picture(event) {
  const link = make("a"), image = make("img");
  link.href = image.src = event.image;
  image.alt = `image of ${event.to}`;
  image.loading = "lazy";
  link.append(image);
  link.setAttribute("aria-label", image.alt);
  return link;
}

$("more").onclick = async () => {
  const turn = known.turn;
  try {
    const { events } = await document_(`history/events.json?${query({ limit: EACH + 1, before: known.number })}`);
    if (turn === known.turn) add(events);
  } catch (error) {
    banner(`The history cannot be shown: ${error.message}.`);
  }
};

// --- the chart: a bar for each hour, or for each day where there are many

function bars() {
  const by_day = Number($("days").value) !== 1, found = new Map();
  for (const hour of known.hours) {
    const at = new Date(hour.hour);
    if (by_day) at.setHours(0, 0, 0, 0);
    const bar = found.get(at.getTime()) || new Map();
    bar.set(hour.label, (bar.get(hour.label) || 0) + hour.seconds);
    found.set(at.getTime(), bar);
  }
  return { by_day, found: [...found].sort((a, b) => a[0] - b[0]) };
}

function mainLabels(found) {
  const sums = new Map();
  for (const [, bar] of found) for (const [label, seconds] of bar) sums.set(label, (sums.get(label) || 0) + seconds);
  const all = [...sums].sort((a, b) => b[1] - a[1]).map(([label]) => label);
  return { labels: all.slice(0, SERIES).sort(), others: all.length > SERIES };
}

function drawChart() {
  const { by_day, found } = bars(), { labels, others } = mainLabels(found), chart = $("chart"), time = bounds();
  const width = Math.max(320, Math.round(chart.clientWidth)) || 900;
  chart.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  const step = by_day ? 86400000 : 3600000;
  const begin = time ? time[0].getTime() : found.length ? found[0][0] : 0;
  const end = Math.max(begin + step, time ? time[1].getTime() : found.length ? found[found.length - 1][0] + step : 0);
  const x = (at) => LEFT + (at - begin) / (end - begin) * (width - LEFT - RIGHT);
  const y = (share) => TOP + (1 - share) * (HEIGHT - TOP - BOTTOM);
  const parts = [0, 0.5, 1].flatMap((share) => [
    drawn("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(share), y2: y(share) }),
    drawn("text", { x: LEFT - 6, y: y(share) + 4, "text-anchor": "end" }, `${share * 100}%`)]);
  for (let part = 0; part < 4 && found.length; part += 1) {
    const at = new Date(begin + (end - begin) * part / 4);
    parts.push(drawn("text", { x: x(at), y: HEIGHT - 6, "text-anchor": part ? "middle" : "start" }, by_day ? at.toLocaleDateString([], { month: "short", day: "numeric" }) : `${two(at.getHours())}:${two(at.getMinutes())}`));
  }
  const wide = Math.max(1, x(begin + step) - x(begin) - 2);
  for (const [at, bar] of found) {
    const whole = [...bar.values()].reduce((a, b) => a + b, 0) || 1;
    let below = 0;
    const pieces = labels.map((label, index) => [`series${index}`, (bar.get(label) || 0) / whole]);
    for (const [kind, share] of [...pieces, ["others", 1 - pieces.reduce((sum, piece) => sum + piece[1], 0)]]) {
      if (share > 0.001) parts.push(drawn("rect", { class: kind, x: x(at) + 1, width: wide, y: y(below + share), height: y(below) - y(below + share) }));
      below += share;
    }
  }
  chart.replaceChildren(...parts);
  chart.setAttribute("aria-label", found.length ? `Shares of ${labels.join(", ")}${others ? " and others" : ""} by ${by_day ? "day" : "hour"}` : "No hours");
  $("legend").replaceChildren(...[...labels.map((label, index) => [label, `series${index}`]), ...(others ? [["others", "others"]] : [])].map(([label, kind]) => {
    const item = make("li", undefined, kind);
    item.append(make("i"), make("span", `${label} ${total(found, label, labels)}`));
    return item;
  }));
  chart.onpointermove = (event) => point(event, found, (at) => x(at) + wide / 2, by_day);
  chart.onpointerleave = () => { $("at-point").textContent = "\u00a0"; };
}

function total(found, label, labels) {
  let of = 0, all = 0;
  for (const [, bar] of found) for (const [each, seconds] of bar) {
    all += seconds;
    if (each === label || (label === "others" && !labels.includes(each))) of += seconds;
  }
  return `${(100 * of / (all || 1)).toFixed(1)}%, ${lasting(of)}`;
}

function point(event, found, middle, by_day) {
  if (!found.length) return;
  const place = $("chart").getBoundingClientRect();
  const at = (event.clientX - place.left) * ($("chart").viewBox.baseVal.width / place.width);
  const [time, bar] = found.reduce((best, each) => (Math.abs(middle(each[0]) - at) < Math.abs(middle(best[0]) - at) ? each : best));
  const whole = [...bar.values()].reduce((a, b) => a + b, 0) || 1, date = new Date(time);
  const parts = [...bar].sort((a, b) => b[1] - a[1]).slice(0, SERIES).map(([label, seconds]) => `${label} ${(100 * seconds / whole).toFixed(0)}%`);
  $("at-point").textContent = `${by_day ? date.toLocaleDateString() : `${two(date.getHours())}:${two(date.getMinutes())}`}: ${parts.join(", ")} of ${lasting(whole)}`;
}

// --- choices

function move(sign) {
  const [year, month, day] = $("day").value.split("-").map(Number);
  $("day").value = written(new Date(year, month - 1, day + sign * Number($("days").value)));
  show();
}

let due = 0;
$("text").oninput = () => { clearTimeout(due); due = setTimeout(show, 300); };
$("choice").onsubmit = (event) => { event.preventDefault(); show(); };
for (const id of ["days", "label", "zone"]) $(id).onchange = show;
$("day").onchange = () => { if ($("day").value) show(); };
$("earlier").onclick = () => move(-1);
$("later").onclick = () => move(1);
window.addEventListener("resize", drawChart);
$("day").value = written(new Date());
show();
