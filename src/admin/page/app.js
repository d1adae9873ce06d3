// The page is complete without this: it keeps it fresh, goes on counting, and takes keys.
const all = (what, where = document) => [...where.querySelectorAll(what)];
const body = document.body;
// Times are told by the server's clock.
const ahead = Date.parse(body.dataset.now) - Date.now();
const now = () => Date.now() + ahead;

function relative(at) {
  const s = (at - now()) / 1e3, a = Math.abs(s);
  const [n, unit] = a < 90 ? [a, "s"] : a < 5400 ? [a / 60, "min"] : a < 129600 ? [a / 3600, "h"] : [a / 86400, "d"];
  return s < 0 ? `${Math.round(n)} ${unit} ago` : `in ${Math.round(n)} ${unit}`;
}

// What is counted down or up, in whole seconds.
function span(s) {
  s = Math.max(0, Math.floor(s));
  const two = (big, name, small, other) => { const rest = Math.floor(s % big / small); return `${Math.floor(s / big)} ${name}${rest ? ` ${rest} ${other}` : ""}` };
  return s < 60 ? `${s} s` : s < 600 ? two(60, "min", 1, "s") : s < 3600 ? `${Math.floor(s / 60)} min` : s < 86400 ? two(3600, "h", 60, "min") : s < 864000 ? two(86400, "d", 3600, "h") : `${Math.floor(s / 86400)} d`;
}
const counted = { "": relative, next: (at) => at <= now() ? "now" : relative(at), left: (at) => span((at - now()) / 1e3), for: (at) => span((now() - at) / 1e3) };

// Zones: UTC, the reader's, the task's.
const zones = ["UTC", Intl.DateTimeFormat().resolvedOptions().timeZone, body.dataset.zone].filter((z, i, l) => z && l.indexOf(z) === i);
let zone = "UTC";
try { zone = zones.includes(localStorage.tasklockZone) ? localStorage.tasklockZone : "UTC" } catch { /* no storage here */ }
const two = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const kinds = { "": two, d: { ...two, weekday: "short", day: "2-digit", month: "short" }, ms: { ...two, fractionalSecondDigits: 3 } };
const absolute = (e) => new Intl.DateTimeFormat("en-GB", { ...kinds[e.dataset.abs], timeZone: zone }).format(Date.parse(e.dateTime)).replaceAll(",", "");

function paint(where = document) {
  for (const e of all("time[data-rel]", where)) {
    const text = counted[e.dataset.rel](Date.parse(e.dateTime));
    if (e.textContent !== text) e.textContent = text;
  }
  for (const e of all("time[data-abs]", where)) e.textContent = absolute(e);
}
const button = document.getElementById("zone");
function showZone() { button.textContent = zone; paint() }
if (zones.length > 1) {
  button.hidden = false;
  button.onclick = () => {
    zone = zones[(zones.indexOf(zone) + 1) % zones.length];
    try { localStorage.tasklockZone = zone } catch { /* it lasts until the page is left */ }
    showZone();
  };
}
showZone();

// What is shown is as old as the last answer, and is said to be when that is too old.
let tag = "", busy = false, fails = 0, heard = now(), serverStale = body.classList.contains("stale");
function judge() {
  const lost = fails > 2 || now() - heard > 20e3;
  if (lost && !body.classList.contains("lost")) {
    const since = document.getElementById("since");
    since.dateTime = new Date(heard).toISOString();
    since.textContent = absolute(since);
    document.getElementById("who").textContent = "This replica does not answer.";
  }
  body.classList.toggle("lost", lost);
  body.classList.toggle("stale", lost || serverStale);
  body.classList.toggle("live", !lost && !serverStale);
  const news = document.getElementById("news"), word = lost || serverStale ? "stale" : "live";
  if (news.textContent !== word) news.textContent = word;
}
// A block with a form that somebody fills in stays as it is; elsewhere the focus finds its place again.
const inUse = (e) => e.querySelector("input:focus, textarea:focus, select:focus, :popover-open, dialog:target");
const nameOf = (e) => e && (e.getAttribute("href") || e.getAttribute("aria-label") || e.id);
function put(old, fresh) {
  const focused = old.contains(document.activeElement) && nameOf(document.activeElement);
  const scrolled = all("pre, .scroll", old).map((e) => [e.scrollLeft, e.scrollTop + e.clientHeight >= e.scrollHeight - 4 ? 1e9 : e.scrollTop]);
  old.replaceWith(fresh);
  all("pre, .scroll", fresh).forEach((e, i) => { if (scrolled[i]) [e.scrollLeft, e.scrollTop] = scrolled[i] });
  const again = focused && all("a, button, [tabindex]", fresh).find((e) => nameOf(e) === focused);
  if (again) again.focus({ preventScroll: true });
}
async function refresh() {
  if (document.hidden || busy) return;
  busy = true;
  try {
    const answer = await fetch(location.href.split("#")[0], { headers: { "If-None-Match": tag }, signal: AbortSignal.timeout(8e3) });
    if (answer.status === 200) {
      tag = answer.headers.get("ETag") || "";
      const news = new DOMParser().parseFromString(await answer.text(), "text/html");
      serverStale = news.body.classList.contains("stale");
      paint(news);
      for (const fresh of all("[data-live]", news)) {
        const old = document.getElementById(fresh.id);
        if (old && fresh.dataset.live !== "lost" && !inUse(old) && old.innerHTML !== fresh.innerHTML) put(old, fresh);
      }
      sift();
    } else if (answer.status !== 304) throw answer.status;
    fails = 0;
    heard = now();
  } catch { fails++ } finally { busy = false; judge() }
}
if (body.dataset.poll) {
  setInterval(refresh, +body.dataset.poll);
  document.addEventListener("visibilitychange", refresh);
}
setInterval(() => { paint(); judge() }, 1e3);
judge();

// The filter box narrows as one types; Enter asks the server.
const box = document.querySelector("input[name=q]");
function sift() {
  const wanted = box ? box.value.toLowerCase() : "";
  for (const row of all("tr[data-name]")) row.hidden = !row.dataset.name.toLowerCase().includes(wanted);
}
if (box) box.oninput = sift;

// A link to a dialog opens it; a form is sent once.
function open() {
  const dialog = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  if (dialog && dialog.popover) {
    history.replaceState(null, "", location.pathname + location.search);
    if (!dialog.matches(":popover-open")) dialog.showPopover();
  }
}
open();
addEventListener("hashchange", open);
const lock = (form, how) => all("button", form).forEach((b) => { b.disabled = how });
document.addEventListener("submit", async (e) => {
  const form = e.target;
  if (!form.matches("dialog form, [data-ask]")) return setTimeout(lock, 0, form, true);
  // What is refused is said where it was asked for, and what was typed stays.
  e.preventDefault();
  const data = new URLSearchParams(new FormData(form));
  lock(form, true);
  let said = "Nobody answers: try again.";
  try {
    const answer = await fetch(form.action, { method: "POST", body: data, headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (answer.ok || answer.redirected) { form.reset(); return location.assign(answer.url) }
    said = page.getElementById("detail")?.textContent || `${answer.status}`;
  } catch { /* said above */ }
  let note = form.querySelector(".said");
  if (!note) form.prepend(note = Object.assign(document.createElement("p"), { className: "note bad said", role: "alert" }));
  note.textContent = said;
  note.scrollIntoView({ block: "nearest" });
  lock(form, false);
});
addEventListener("pageshow", () => all("form").forEach((form) => lock(form, false)));

// JSON is looked at as one types it.
for (const field of all("[data-json]")) field.oninput = () => {
  let wrong = "";
  try { if (field.value.trim()) JSON.parse(field.value) } catch (e) { wrong = e.message }
  field.setCustomValidity(wrong);
};

// What a schedule means, as one types it.
for (const field of all("[data-preview]")) {
  let wait;
  const told = field.form.querySelector("[data-told]"), zoneField = field.form.timezone;
  const ask = async () => {
    if (!field.value) return;
    try {
      const answer = await fetch(field.dataset.preview, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ cron: field.value, timezone: zoneField.value || undefined }) });
      const said = await answer.json();
      const times = (said.fires || []).map((f) => f.local.slice(0, 19).replace("T", " ")).join(", ");
      told.textContent = answer.ok ? [said.text, times, ...(said.lint || []).map((l) => l.text)].join(" · ") : said.detail;
    } catch { told.textContent = "" }
  };
  field.oninput = zoneField.oninput = () => { clearTimeout(wait); wait = setTimeout(ask, 300) };
}

// A run that goes on is followed line by line.
const followed = document.querySelector("[data-follow]");
if (followed) {
  const events = new EventSource(followed.dataset.follow);
  const look = () => setTimeout(refresh, 100);
  for (const kind of ["line", "message"]) events.addEventListener(kind, look);
  events.addEventListener("end", () => { events.close(); look() });
}

document.addEventListener("keydown", (e) => {
  if (e.target.matches("input, textarea, select") || e.metaKey || e.ctrlKey || e.altKey || document.querySelector(":popover-open")) return;
  const step = { j: 1, k: -1 }[e.key];
  if (step) {
    const rows = all("tr:not([hidden]) a.nm"), at = rows.indexOf(document.activeElement);
    const next = rows[at < 0 ? 0 : Math.min(Math.max(at + step, 0), rows.length - 1)];
    if (next) next.focus();
    return;
  }
  const key = CSS.escape(e.key), row = document.activeElement.closest("tr");
  const wanted = row?.querySelector(`[data-row="${key}"]`) || document.querySelector(`[data-key="${key}"]`);
  if (wanted) { e.preventDefault(); wanted.focus(); if (!wanted.matches("input")) wanted.click() }
});
