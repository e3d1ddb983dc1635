// What makes the pages quicker to use. Every page works without it: links and forms do all of this too.

const main = () => document.getElementById("main");
const typing = (element) => element.closest("input, select, textarea, [contenteditable]");
let request = null;

// Times in the reader's zone.
function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const pad = (number) => String(number).padStart(2, "0");
    const year = "short" in time.dataset ? "" : `${at.getFullYear()}-`;
    time.textContent = `${year}${pad(at.getMonth() + 1)}-${pad(at.getDate())} ${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
    time.title = `${time.dateTime} (UTC)`;
  }
  for (const chart of root.querySelectorAll(".chart[data-bucket=minute], .chart[data-bucket=hour]")) {
    for (const tick of chart.querySelectorAll("text[data-at]")) {
      const at = new Date(tick.dataset.at);
      const time = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
      const day = at.toLocaleDateString([], { day: "2-digit", month: "short" });
      tick.textContent = chart.dataset.bucket === "hour" ? `${day} ${time}` : time;
    }
  }
}

// Another page's content in place of this one's, without loading everything again.
async function show(url, { push = true, replace = false, keepFocus = false } = {}) {
  request?.abort();
  request = new AbortController();
  let answer;
  try {
    answer = await fetch(url, { signal: request.signal, headers: { Accept: "text/html" } });
  } catch (error) {
    if (error.name !== "AbortError" && push) location.assign(url);
    return false;
  }
  if (!(answer.headers.get("content-type") || "").startsWith("text/html") || answer.redirected || answer.status === 401) {
    location.assign(url);
    return false;
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("main");
  if (!fresh || !page.querySelector("nav.side")) {
    location.assign(url);
    return false;
  }
  if (push) history[replace ? "replaceState" : "pushState"](null, "", url);
  const current = document.querySelector("tr.current")?.dataset.id;
  const known = new Set([...document.querySelectorAll("#events tr[data-id]")].map((row) => row.dataset.id));
  const opened = [...document.querySelectorAll("main details")].map((each) => each.open);
  main().replaceWith(document.adoptNode(fresh));
  document.title = page.title;
  document.querySelector("nav.side").replaceWith(document.adoptNode(page.querySelector("nav.side")));
  const search = document.querySelector("form.search");
  const freshSearch = document.adoptNode(page.querySelector("form.search"));
  if (keepFocus && search.contains(document.activeElement)) {
    for (const each of search.querySelectorAll("input[type=hidden]")) each.remove();
    for (const each of freshSearch.querySelectorAll("input[type=hidden]")) search.append(each);
  } else {
    search.replaceWith(freshSearch);
    if (push) window.scrollTo(0, 0);
  }
  if (!push) {
    const now = [...document.querySelectorAll("main details")];
    if (now.length === opened.length) now.forEach((each, place) => { each.open = opened[place]; });
    for (const row of document.querySelectorAll("#events tr[data-id]")) {
      if (current && row.dataset.id === current) row.classList.add("current");
      if (known.size && !known.has(row.dataset.id)) row.classList.add("fresh");
    }
  }
  begin();
  return true;
}

// "12 new", and pause.
let stream = null;
let count = 0;
let paused = sessionStorage.getItem("paused") === "yes";

function live() {
  const place = document.getElementById("live");
  const url = place && !("off" in place.dataset) ? place.dataset.stream : null;
  if (stream && stream.from !== url) {
    stream.source.close();
    stream = null;
    count = 0;
  }
  if (!url) return;
  if (!stream) {
    stream = { from: url, source: new EventSource(url) };
    stream.source.addEventListener("insights", (event) => {
      count += JSON.parse(event.data).new;
      if (!paused && !isReading()) refresh();
      else draw();
    });
  }
  draw();
}

// Whether a new list would take something away from under the reader's eyes.
function isReading() {
  const list = document.querySelector(".list > .scroll");
  return window.scrollY > 200 || list?.scrollTop > 20 || String(getSelection()) || document.querySelector("main details.menu[open]");
}

function draw() {
  const place = document.getElementById("live");
  if (!place || "off" in place.dataset) return;
  const pulse = Object.assign(document.createElement("span"), { className: "pulse" });
  const pause = Object.assign(document.createElement("button"), { type: "button", className: "pause", textContent: paused ? "Resume" : "Pause" });
  pause.addEventListener("click", togglePause);
  const fresh = Object.assign(document.createElement("button"), { type: "button", className: "new", textContent: `${count} new` });
  fresh.addEventListener("click", refresh);
  place.classList.toggle("paused", paused);
  place.setAttribute("role", "status");
  place.replaceChildren(pulse, pause, ...(count ? [fresh] : []));
}

function togglePause() {
  paused = !paused;
  sessionStorage.setItem("paused", paused ? "yes" : "no");
  if (!paused && count) refresh();
  else draw();
}

function refresh() {
  count = 0;
  show(location.href, { push: false, keepFocus: true });
}

// Tooltips of charts, and dragging over one to zoom into a range of time.
const tip = Object.assign(document.createElement("div"), { className: "tip", hidden: true });

function showTip(event) {
  const mark = event.target.closest?.(".chart .hit");
  const title = mark?.querySelector("title");
  if (title) {
    mark.dataset.tip = title.textContent;
    title.remove();
  }
  tip.hidden = !mark?.dataset.tip;
  if (tip.hidden) return;
  tip.textContent = mark.dataset.tip;
  tip.style.left = `${Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${Math.min(event.clientY + 16, innerHeight - tip.offsetHeight - 8)}px`;
}

let drag = null;

function startDrag(event) {
  const mark = event.target.closest?.(".chart .hit[data-key]");
  if (!mark || event.button !== 0 || event.pointerType === "touch") return;
  drag = { chart: mark.closest(".chart"), from: mark, to: mark, moved: false };
}

function moveDrag(event) {
  showTip(event);
  if (!drag) return;
  const mark = document.elementFromPoint(event.clientX, event.clientY)?.closest(".chart .hit[data-key]");
  if (!mark || mark.closest(".chart") !== drag.chart) return;
  drag.to = mark;
  drag.moved ||= drag.to !== drag.from;
  if (!drag.moved) return;
  const edges = [drag.from, drag.to].map((each) => each.getBBox());
  const left = Math.min(...edges.map((box) => box.x));
  const right = Math.max(...edges.map((box) => box.x + box.width));
  drag.box ||= drag.chart.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "rect"));
  drag.box.setAttribute("class", "selection");
  for (const [name, value] of Object.entries({ x: left, width: right - left, y: edges[0].y, height: edges[0].height })) drag.box.setAttribute(name, value);
}

function endDrag() {
  const done = drag;
  drag = null;
  if (!done?.moved) return;
  done.box?.remove();
  const marks = [...done.chart.querySelectorAll(".hit[data-key]")];
  const [first, last] = [marks.indexOf(done.from), marks.indexOf(done.to)].sort((a, b) => a - b);
  const url = new URL(location.href);
  url.searchParams.delete("after");
  url.searchParams.set("since", marks[first].dataset.key);
  url.searchParams.set("until", marks[last + 1]?.dataset.key || done.chart.dataset.end);
  addEventListener("click", (event) => { event.preventDefault(); event.stopPropagation(); }, { capture: true, once: true });
  setTimeout(() => show(url.href), 0);
}

// Links within the pages; with alt, a value is excluded.
function follow(event) {
  if (event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const link = event.target.closest("a[href]");
  if (link) {
    const excluding = event.altKey && link.dataset.exclude;
    const url = new URL(excluding ? link.dataset.exclude : link.href?.baseVal || link.getAttribute("href"), location.href);
    if (url.origin !== location.origin || !url.pathname.startsWith("/ui/") || link.hasAttribute("download") || /^\/ui\/(export|download|static)/.test(url.pathname)) return;
    if (url.pathname === location.pathname && url.hash) return;
    event.preventDefault();
    show(url.href);
    return;
  }
  const row = event.target.closest("tr[data-href]");
  if (row && !event.target.closest("button, summary") && !String(getSelection())) show(row.dataset.href);
}

function submit(event) {
  const form = event.target;
  if (form.method !== "get" || form.method === "dialog") return;
  event.preventDefault();
  show(urlOf(form));
}

function urlOf(form) {
  const url = new URL(form.getAttribute("action"), location.href);
  url.search = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== "")).toString();
  return url.href;
}

let waiting = 0;

function search(event) {
  if (event.target.id !== "search") return;
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    const text = event.target.value;
    if ((text.match(/"/g) || []).length % 2 === 0 && !/[:<>=]$/.test(text)) show(urlOf(event.target.form), { replace: true, keepFocus: true });
  }, 300);
}

// The keyboard.
function move(step) {
  const rows = [...document.querySelectorAll("tr[data-href]")];
  if (!rows.length) return document.querySelector(step > 0 ? "a[rel=next]" : "a[rel=prev]")?.click();
  const at = rows.findIndex((row) => row.classList.contains("current"));
  const row = rows[Math.max(0, Math.min(rows.length - 1, at + step))];
  rows[at]?.classList.remove("current");
  row.classList.add("current");
  row.querySelector("a.open")?.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
    if (event.target.id === "search") event.target.blur();
  }
  if (typing(event.target)) return;
  const help = document.getElementById("help");
  const keys = {
    j: () => move(1),
    k: () => move(-1),
    p: () => document.querySelector(".live .pause")?.click(),
    "/": () => document.getElementById("search").select(),
    "?": () => (help.open ? help.close() : help.showModal()),
  };
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
}

function copyButtons(root) {
  if (!navigator.clipboard) return;
  for (const each of root.querySelectorAll("details.copy")) {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "do-copy quiet", textContent: "Copy" });
    button.setAttribute("aria-label", `Copy ${each.querySelector("summary").textContent}`);
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(each.querySelector("pre").textContent);
      button.textContent = "Copied";
    });
    each.after(button);
  }
}

function begin() {
  localTimes(document);
  copyButtons(main());
  live();
}

document.body.append(tip);
document.addEventListener("click", follow);
document.addEventListener("submit", submit);
document.addEventListener("input", search);
document.addEventListener("keydown", press);
document.addEventListener("pointerdown", startDrag);
document.addEventListener("pointermove", moveDrag);
document.addEventListener("pointerup", endDrag);
document.addEventListener("dragstart", (event) => { if (drag) event.preventDefault(); });
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
addEventListener("popstate", () => show(location.href, { push: false }));
addEventListener("pagehide", () => stream?.source.close());
begin();
