// The live page. Whatever comes from the camera's side is put in as text, never as markup.
"use strict";

const LOOK_MS = 1000;         // between two questions for the newest result
const PATIENCE_MS = 5000;     // for a response
const SLOWEST_MS = 10000;     // between two questions once the service is lost
const WINDOW_S = 600;         // of the chart
const SERIES = 5;
const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 220, LEFT = 36, RIGHT = 8, TOP = 10, BOTTOM = 24;

const $ = (id) => document.getElementById(id);
const FRAME_MS = 8000;        // for the next frame: the server responds within 5 s
const known = { state: null, stateSince: null, newest: 0, points: [], events: "", fails: 0, threshold: 0, thresholds: {} };

// --- requests

const WANTED = new URLSearchParams(location.search).get("zone") || "";

// Paths are relative: the page may lie below a proxy's sub-path. AbortSignal.timeout is not in Safari 15.
async function ask(path, options = {}, patience = PATIENCE_MS) {
  if (WANTED && !options.method) path += `${path.includes("?") ? "&" : "?"}zone=${encodeURIComponent(WANTED)}`;
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), patience);
  try {
    const answer = await fetch(path, { cache: "no-store", signal: controller.signal, ...options });
    const body = await answer.blob();  // within the same patience
    return { ok: answer.ok, status: answer.status, headers: answer.headers, body, text: () => body.text() };
  } finally {
    clearTimeout(timer);
  }
}

async function document_(path) {
  const answer = await ask(path);
  if (answer.status === 404 && WANTED) location.replace(location.pathname);  // a zone that is gone
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return JSON.parse(await answer.text());
}

// --- small things

function put(id, text) { const place = $(id); if (place.textContent !== text) place.textContent = text; }

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

const ms = (value) => (value < 10 ? value.toFixed(1) : value.toFixed(0));
const last = (list) => list[list.length - 1];  // Array.at came with Safari 15.4
const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const clock = (date) => date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });

// --- the newest result

function showLatest(latest) {
  known.zone = latest.zone.name;
  showZones(latest);
  put("device", latest.device);
  put("version", `edge-classify ${latest.edge_classify}`);
  showStatus(latest);
  known.threshold = latest.threshold;
  known.thresholds = latest.thresholds;
  showHealth(latest);
  $("controls").hidden = !latest.controls;
  $("to-history").hidden = !latest.history;
  known.paused = latest.paused;
  put("pause", latest.paused ? "Resume" : "Pause");
  const labels = $("labels");
  if (labels.childElementCount !== Math.min(latest.health.labels.length, 200)) {
    labels.replaceChildren(...latest.health.labels.slice(0, 200).map((label) => {
      const option = document.createElement("option");
      option.value = label;
      return option;
    }));
  }
}

// A link for each zone: the address names the one that is shown.
function showZones({ zone: current, zones }) {
  put("of-region", current.roi.length ? ": the zone's region alone" : "");
  const print = JSON.stringify([current.name, zones]);
  if (print === known.zones) return;
  known.zones = print;
  $("zones").replaceChildren(...zones.filter(({ name }) => name).map((zone) => {
    const item = make("li"), link = make("a", `${zone.name} `);
    link.href = `?zone=${encodeURIComponent(zone.name)}`;
    if (zone.name === current.name) link.setAttribute("aria-current", "page");
    link.dataset.is = zone.state;
    link.append(make("span", zone.state === "lost" ? "lost" : zone.label));
    item.append(link);
    return item;
  }));
  $("zones").hidden = !current.name;
  known.marks = zones.filter(({ roi }) => roi.length);
  known.current = current.name;
  showMarks();
}

// The regions over the image, as it is fitted into its place.
function showMarks() {
  const { naturalWidth: width, naturalHeight: height } = $("live");
  if (!width || !known.marks) return;
  $("marks").setAttribute("viewBox", `0 0 ${width} ${height}`);
  const unit = width / Math.max(1, $("live").clientWidth);
  $("marks").replaceChildren(...known.marks.flatMap(({ name, roi: [x, y, w, h] }, index) => {
    const box = { x: x * width, y: y * height, width: w * width, height: h * height };
    const group = drawn("g", { class: `series${index % SERIES}${name === known.current ? "" : " other"}` });
    group.append(drawn("rect", { class: "halo", ...box }), drawn("rect", box));
    group.append(drawn("text", { x: box.x + 6 * unit, y: box.y + 18 * unit, "font-size": 14 * unit }, name));
    return [group];
  }));
}

function showStatus(latest) {
  const { waiting, model_problem: problem } = latest.health, zone = latest.zone.state;
  const failing = Object.entries(latest.health.sinks).filter(([, sink]) => sink.lost);
  let line = "";
  if (zone === "lost") line = `No result for ${lasting(latest.health.silent_s)}.${waiting ? ` ${waiting}` : ""}`;
  else if (latest.zone.reason) line = `Problem: ${latest.zone.reason}.`;
  else if (problem) line = `The new model failed validation: ${problem}. The previous one is still in use.`;
  else if (failing.length) line = `State changes were lost: ${failing.map(([name]) => name).join(", ")}.`;
  banner(line);
  $("status").dataset.is = zone === "lost" ? "stale" : "live";
  put("status-text", latest.fresh ? `live, ${latest.health.fps.toFixed(1)} frames a second` : zone === "lost" ? "no fresh result" : waiting || zone);
}

function banner(line) {
  put("banner", line);
  $("banner").hidden = !line;
}

function showSeen(seen) {
  const state = $("state");
  put("state", seen.state);
  document.title = `${seen.state} – ${$("device").textContent}`;
  state.dataset.is = seen.state === "unknown" ? "unknown" : "known";
  if (known.state !== seen.state) {
    if (known.state !== null) {
      put("spoken", `now ${seen.state}`);
      known.stateSince = new Date(seen.captured_at);
    }
    known.state = seen.state;
  }
  const since = known.stateSince ? `since ${clock(known.stateSince)}` : "";
  put("since", seen.state === "unknown" && !since ? `no label above ${known.threshold.toFixed(2)}` : since || "\u00a0");
  $("bars").replaceChildren(...seen.categories.map((category) => {
    const row = make("li"), bar = make("meter");
    bar.value = category.score;
    bar.setAttribute("aria-hidden", "true");
    row.append(make("span", category.label, "name"), make("span", category.score.toFixed(3)), bar);
    row.title = category.label;
    return row;
  }));
}

function showHealth(latest) {
  const { health, latency_ms: latency, result: seen } = latest;
  const facts = [];
  const fact = (name, value, bad = false) => facts.push([name, value, bad]);
  if (latency) {
    const three = (p) => `${ms(p.p50)} · ${ms(p.p90)} · ${ms(p.p99)} ms`;
    fact("Invoke, p50 · p90 · p99", three(latency.invoke));
    fact("End to end, p50 · p90 · p99", three(latency.end_to_end));
  }
  if (seen) fact("Age of the newest result", lasting(latest.health.silent_s), !latest.fresh);
  fact("Dropped frames", String(latest.dropped));
  if (health.camera) fact("Camera view", health.camera, health.camera !== "good");
  if (health.reopened) fact("Camera reopened", String(health.reopened), true);
  fact("Temperature", health.temperature_c === null ? "not available" : `${health.temperature_c.toFixed(0)} °C`, health.temperature_c > 80);
  const throttling = health.throttling;
  const now = throttling ? throttling.now.join(", ") : "";
  const before = throttling ? throttling.since_boot.join(", ") : "";
  fact("Throttling", !throttling ? "not available" : now || (before ? `not now; since boot: ${before}` : "none"), Boolean(now));
  for (const [name, sink] of Object.entries(health.sinks)) {
    if (sink.failures) fact(name, `${sink.failures} failures, ${sink.lost} state changes lost`, true);
  }
  fact("Model", health.model);
  fact("Version", health.version);
  fact("Runtime", health.runtime);
  fact("Uptime", lasting(health.up_s));
  fact("Viewers", String(latest.viewers));
  $("health").replaceChildren(...facts.flatMap(([name, value, bad]) => [make("dt", name), make("dd", value, bad ? "bad" : "")]));
}

// --- changes

async function showEvents() {
  const { events } = await document_("events.json");
  const print = JSON.stringify(events);
  if (print === known.events) return;
  known.events = print;
  if (events.length && known.stateSince === null && events[0].to === known.state) known.stateSince = new Date(events[0].at);
  $("no-events").hidden = events.length > 0;
  $("events").replaceChildren(...events.map((event) => {
    const row = make("li"), at = new Date(event.at), text = make("div");
    const picture = event.image ? make("img") : make("span", undefined, "none");
    if (event.image) {
      picture.src = event.image;
      picture.alt = "";
      picture.loading = "lazy";
    }
    const time = make("time", at.toLocaleString([], { dateStyle: "medium", timeStyle: "medium" }));
    time.dateTime = event.at;
    const line = make("p", undefined, "quiet");
    line.append(time, `, after ${lasting(event.lasted_s)} of ${event.from}`);
    text.append(make("b", `${event.to} ${event.score.toFixed(2)}`), line);
    row.append(picture, text);
    return row;
  }));
}

// --- the chart

async function showHistory(latest) {
  if (known.points.length && latest.health.up_s < last(known.points).up_s) known.points = [];  // the service was restarted
  const since = known.points.length ? last(known.points).frame : 0;
  const { points } = await document_(`history.json?since=${since}`);
  known.points.push(...points);
  const end = known.points.length ? last(known.points).up_s : 0;
  known.points = known.points.filter((point) => point.up_s >= end - WINDOW_S);
  drawChart();
}

function mainLabels(points) {
  const sums = new Map();
  for (const { scores } of points) for (const [label, score] of Object.entries(scores)) sums.set(label, (sums.get(label) || 0) + score);
  // In the order of their names, so that a label keeps its colour while the scores change.
  return [...sums].sort((a, b) => b[1] - a[1]).slice(0, SERIES).map(([label]) => label).sort();
}

function drawChart() {
  const { points, threshold } = known, chart = $("chart");
  if (!points.length) return;
  const width = Math.max(320, Math.round(chart.clientWidth));
  chart.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  const end = last(points).up_s, length = Math.min(WINDOW_S, Math.max(60, end - points[0].up_s));
  const x = (up_s) => LEFT + (1 - (end - up_s) / length) * (width - LEFT - RIGHT);
  const y = (score) => TOP + (1 - score) * (HEIGHT - TOP - BOTTOM);
  const parts = [];
  for (const score of [0, 0.5, 1]) {
    parts.push(drawn("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(score), y2: y(score) }));
    parts.push(drawn("text", { x: LEFT - 8, y: y(score) + 4, "text-anchor": "end" }, String(score)));
  }
  if (threshold) parts.push(drawn("line", { class: "limit", x1: LEFT, x2: width - RIGHT, y1: y(threshold), y2: y(threshold) }));
  const step = length > 300 ? 120 : length > 120 ? 60 : 20;
  for (let back = 0; back <= length; back += step) {
    const text = back === 0 ? "now" : back % 60 ? `−${back} s` : `−${back / 60} min`;
    parts.push(drawn("text", { x: x(end - back), y: HEIGHT - 6, "text-anchor": back === 0 ? "end" : "middle" }, text));
  }
  const labels = mainLabels(points);
  labels.forEach((label, index) => {
    for (const stretch of stretches(points, label)) {
      const path = stretch.map((point) => `${x(point.up_s).toFixed(1)},${y(point.scores[label]).toFixed(1)}`).join(" ");
      parts.push(drawn("polyline", { class: `series${index}`, points: path }));
    }
  });
  chart.replaceChildren(...parts);
  chart.setAttribute("aria-label", `Scores of ${labels.join(", ")} over the last ${lasting(length)}; now ${said(last(points), labels)}`);
  chart.onpointermove = (event) => point(event, points, labels, x, y);
  chart.onpointerleave = () => { put("at-point", "\u00a0"); chart.querySelectorAll(".cursor, circle").forEach((part) => part.remove()); };
  if ($("legend").textContent !== labels.join("")) {
    $("legend").replaceChildren(...labels.map((label, index) => {
      const row = make("li", undefined, `series${index}`);
      row.append(make("i"), make("span", label));
      return row;
    }));
  }
}

// A label that is not among a frame's best has no point there; nor is there a line over a long gap.
function stretches(points, label) {
  const found = [];
  let before = null;
  for (const point of points) {
    if (!(label in point.scores)) { before = null; continue; }
    if (before === null || point.up_s - before > 30) found.push([]);
    last(found).push(point);
    before = point.up_s;
  }
  return found;
}

const said = (point, labels) => labels.filter((label) => label in point.scores).map((label) => `${label} ${point.scores[label].toFixed(2)}`).join(", ");

function point(event, points, labels, x, y) {
  const chart = $("chart"), place = chart.getBoundingClientRect();
  const at = (event.clientX - place.left) * (chart.viewBox.baseVal.width / place.width);
  const nearest = points.reduce((best, each) => (Math.abs(x(each.up_s) - at) < Math.abs(x(best.up_s) - at) ? each : best));
  chart.querySelectorAll(".cursor, circle").forEach((part) => part.remove());
  chart.append(drawn("line", { class: "cursor", x1: x(nearest.up_s), x2: x(nearest.up_s), y1: TOP, y2: HEIGHT - BOTTOM }));
  labels.forEach((label, index) => {
    if (label in nearest.scores) chart.append(drawn("circle", { class: `series${index}`, cx: x(nearest.up_s), cy: y(nearest.scores[label]), r: 4 }));
  });
  put("at-point", `${clock(new Date(nearest.unix_s * 1000))}: ${nearest.state} (${said(nearest, labels)})`);
}

// --- images

// An image that is loaded and decoded; null where the frame is gone.
async function picture(path) {
  const answer = await ask(path);
  return answer.ok ? decoded(answer) : null;
}

async function decoded(answer) {
  const image = new Image();
  image.src = URL.createObjectURL(answer.body);
  await image.decode();  // so that it is shown at once, beside the others of its frame
  return { url: image.src, image, headers: answer.headers };
}

function put_picture(image, made) {
  if (!made) return;
  const old = image.src;
  image.src = made.url;
  image.hidden = false;
  if (old.startsWith("blob:")) URL.revokeObjectURL(old);
}

// One frame after the other, each requested when the last one is shown: a slow line shows fewer, not older ones.
// The large image, the scores and what the model sees are of one frame.
async function follow() {
  for (;;) {
    if (document.hidden) { await wait(LOOK_MS / 2); continue; }
    try {
      const answer = await ask(`frame.json?after=${known.newest}`, {}, FRAME_MS);
      if (answer.status !== 200) { await wait(LOOK_MS / 4); continue; }
      const seen = JSON.parse(await answer.text());
      const [live, input] = await Promise.all(["frame", "input"].map((name) => picture(`${name}.jpg?frame=${seen.frame}`)));
      put_picture($("live"), live);
      showMarks();
      put_picture($("input"), input);
      if (live) $("no-frame").hidden = true;
      showSeen(seen);
      known.seen = seen;
      known.newest = seen.frame;
    } catch {
      await wait(LOOK_MS);
    }
  }
}

// --- controls

// Whether the dialog's form was sent: Escape and Cancel close it as well.
function asked(dialog) {
  return new Promise((resolve) => {
    dialog.returnValue = "";
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
    dialog.showModal();
  });
}

for (const [button, dialog] of [["cancel", "keeping"], ["no-token", "asking"], ["no-limit", "limiting"]]) $(button).onclick = () => $(dialog).close();

async function token() {
  if (!sessionStorage.getItem("token")) {
    $("token").value = "";
    if (!(await asked($("asking")))) return null;
    sessionStorage.setItem("token", $("token").value.trim());
  }
  return sessionStorage.getItem("token");
}

async function control(path, body, done = "A snapshot of the next frame is saved.", patience = PATIENCE_MS) {
  const secret = await token();
  if (secret === null) return;
  put("told", "…");
  try {
    const headers = { Authorization: `Bearer ${secret}`, "Content-Type": "application/json" };
    const answer = await ask(path, { method: "POST", headers, body: JSON.stringify(body) }, patience);
    const text = (await answer.text()).trim();
    if (answer.status === 401) {
      sessionStorage.removeItem("token");
      put("told", "Wrong token. Try again.");
    } else if (answer.status === 201) put("told", `Saved as ${JSON.parse(text).file}`);
    else if (answer.ok) put("told", done);
    else put("told", `Failed: ${text}.`);
    if (answer.ok) return answer;
  } catch {
    put("told", "The service did not respond.");
  }
}

$("snapshot").onclick = () => control("snapshot", {});
$("keep").onclick = async () => {
  const still = await picture("frame.jpg").catch(() => null);
  if (!still) { put("told", "There is no frame to save."); return; }
  put_picture($("still"), still);
  const frame = Number(still.headers.get("X-Frame"));
  $("label").value = "";
  if (await asked($("keeping"))) await control("keep", { label: $("label").value, frame, zone: known.zone });
};

$("pause").onclick = async () => {
  await control("command", { name: "pause", value: !known.paused }, known.paused ? "Resumed." : "Paused: no frame is classified.");
  again(0);
};
$("classify").onclick = () => control("command", { name: "classify" }, "The next frame is classified now.");
$("why").onclick = async () => {
  if ((await token()) === null || !known.seen) return;
  const { frame, categories: [{ label, score }] } = known.seen;
  const done = `Frame ${frame}: red supports ${label} ${score.toFixed(3)}, by 50 more invocations`;
  const answer = await control("explain", { frame, label, zone: known.zone }, done, 60000);
  if (answer) put_picture($("heat"), await decoded(answer));
};
$("threshold").onclick = async () => {
  const labels = Object.keys(known.thresholds), of = $("limit-of");
  of.replaceChildren(new Option("all labels", ""), ...labels.map(label => new Option(label)));
  of.disabled = !labels.length;
  of.onchange = () => { $("limit").value = (known.thresholds[of.value] ?? known.threshold).toFixed(2); };
  of.onchange();
  if (!await asked($("limiting"))) return;
  const value = `${of.value && `${of.value}=`}${$("limit").value || "auto"}`;
  await control("command", { name: "threshold", value, zone: known.zone }, "The threshold is set.");
};

// --- again and again

async function look() {
  let pause = LOOK_MS;
  try {
    const latest = await document_("latest.json");
    known.fails = 0;
    showLatest(latest);
    await Promise.all([showHistory(latest), showEvents()]);
  } catch {
    known.fails += 1;
    pause = Math.min(SLOWEST_MS, LOOK_MS * 2 ** (known.fails - 1));
    if (known.fails > 1) lost();
  }
  again(pause);
}

let due = 0;
function again(pause) {
  clearTimeout(due);
  due = setTimeout(() => (document.hidden ? null : look()), pause);
}

function lost() {
  $("status").dataset.is = "lost";
  put("status-text", "no connection");
  banner("The service does not respond. This page shows old data and keeps retrying.");
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) again(0); });
window.addEventListener("resize", () => { drawChart(); showMarks(); });
look();
follow();
