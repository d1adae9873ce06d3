// The page as people use it: a real browser, a fleet of three processes, one Redis.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { Fleet, until } from "./fleet.js";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const shots = new URL("./shots/", import.meta.url).pathname;
mkdirSync(shots, { recursive: true });

let fleet, browser;
before(async () => {
  fleet = await Fleet.start(3);
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });
}, { timeout: 120_000 });
after(async () => { await browser?.close(); fleet?.stop() });

/// A page of a replica; what its console and its policy complain about is kept.
async function open(n, path, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.on("console", (line) => { if (["error", "warning"].includes(line.type())) page.complaints.push(line.text()) });
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  // What is under way when a page is left is no failure.
  page.on("requestfailed", (request) => { if (request.failure()?.errorText !== "net::ERR_ABORTED") page.complaints.push(`${request.url()}: ${request.failure()?.errorText}`) });
  if (options.javaScriptEnabled !== false) {
    await page.addInitScript(() => document.addEventListener("securitypolicyviolation", (e) => console.error(`CSP: ${e.violatedDirective} ${e.blockedURI}`)));
  }
  await page.goto(fleet.replicas[n].url + path);
  return page;
}
const text = (page, what) => page.locator(what).innerText();

/// Sends the form of a dialog with a reason.
async function send(page, button, dialog, more = async () => {}) {
  await page.getByRole("button", { name: button }).first().click();
  const box = page.locator(`dialog${dialog}`);
  await box.locator("[name=reason]").fill("a test wants it");
  await more(box);
  await Promise.all([page.waitForNavigation(), box.locator(".bar button:not(.by)").click()]);
}

async function aRun() {
  let found;
  await fetch(`${fleet.replicas[0].url}/api/v1/tasks/invoices.sync/runs`, { method: "POST", headers: { "content-type": "application/json" }, body: '{"reason":"a test needs one"}' });
  await until("a run has failed", async () => {
    const runs = await fleet.get(0, "/tasks/invoices.sync/runs?outcome=failure&limit=5");
    found = runs.items?.find((run) => run.error);
    return found;
  }, 90_000);
  return found.id;
}

test("each screen loads without a complaint, in light and dark, and axe finds no serious fault", { timeout: 240_000 }, async () => {
  const run = await aRun();
  const screens = { tasks: "/", task: "/tasks/invoices.sync", run: `/runs/${run}`, activity: "/activity", cluster: "/cluster", stored: "/tasks/notes.morning", edit: "/tasks/notes.morning/edit", new: "/new" };
  for (const colorScheme of ["light", "dark"]) {
    for (const [name, path] of Object.entries(screens)) {
      const page = await open(0, path, { colorScheme });
      await page.waitForFunction(() => document.body.classList.contains("live"));
      await page.screenshot({ path: `${shots}${name}-${colorScheme}.png` });
      // Evaluated by the debugger: the page's own policy lets no other script in.
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
      const bad = violations.filter((v) => ["serious", "critical"].includes(v.impact));
      assert.deepEqual(bad.map((v) => `${name} ${colorScheme}: ${v.id}: ${v.nodes.map((n) => n.html).slice(0, 3).join(" ")}`), []);
      assert.deepEqual(page.complaints, [], `${name} ${colorScheme}`);
      await page.context().close();
    }
  }
  for (const [name, path] of Object.entries(screens)) {
    const phone = await open(0, path, { viewport: { width: 390, height: 800 } });
    await phone.screenshot({ path: `${shots}${name}-phone.png` });
    assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} is too wide for a phone`);
    await phone.context().close();
  }
});

test("run now is seen on another replica's page", { timeout: 90_000 }, async () => {
  const page = await open(0, "/tasks/ledger.close"), other = await open(1, "/tasks/ledger.close");
  await send(page, "Run now", "#run");
  await until("the other page shows the run by hand", async () => (await text(other, "#runs")).includes("manual · localhost"));
  assert.deepEqual(other.complaints, []);
  await page.context().close(); await other.context().close();
});

test("pause and resume are seen on another replica's page", { timeout: 90_000 }, async () => {
  const page = await open(0, "/tasks/cleanup_task"), other = await open(1, "/tasks/cleanup_task");
  await send(page, "Pause…", "#pause");
  await until("the other page shows the pause", async () => (await text(other, "#notes")).includes("a test wants it") && (await text(other, "#head")).includes("paused"));
  await send(other, "Resume…", "#resume");
  await until("the pause is gone here", async () => !(await text(page, "#head")).includes("paused"));
  await page.context().close(); await other.context().close();
});

test("override and reset are seen on another replica's page", { timeout: 90_000 }, async () => {
  const page = await open(0, "/tasks/stats_task"), other = await open(2, "/tasks/stats_task");
  await send(page, "Override schedule…", "#override", async (box) => {
    await box.locator("[name=cron]").fill("0 15 3 * * *");
    await until("the schedule is explained", async () => (await text(page, "#preview")).includes("03:15"));
  });
  await until("the other page shows it", async () => (await text(other, "#notes")).includes("0 15 3 * * *"));
  await send(other, "Reset…", "#reset");
  await until("it is gone here", async () => !(await text(page, "#notes")).includes("0 15 3 * * *"));
  await page.context().close(); await other.context().close();
});

test("a run is cancelled from another replica's page", { timeout: 120_000 }, async () => {
  let id;
  await until("a long run goes on", async () => {
    const runs = await fleet.get(1, "/runs?state=running&task=search.reindex");
    id = runs.items?.[0]?.id;
    if (!id) await fetch(`${fleet.replicas[0].url}/api/v1/tasks/search.reindex/runs`, { method: "POST", headers: { "content-type": "application/json" }, body: '{"reason":"a test needs one"}' });
    return id;
  }, 60_000);
  const page = await open(2, `/runs/${id}`), other = await open(1, `/runs/${id}`);
  await until("the page shows that it runs", async () => (await text(page, "#head")).includes("running"));
  await send(page, "Cancel…", "#cancel");
  await until("the other page shows its end", async () => (await text(other, "#head")).includes("cancelled"));
  await page.context().close(); await other.context().close();
});

test("activity goes back page by page, keeps what is looked for, and tells of the fleet", { timeout: 90_000 }, async () => {
  const page = await open(0, "/activity?kind=run");
  const first = await page.locator("#feed tbody a.nm").first().getAttribute("href");
  await until("there is an older page", async () => { await page.reload(); return await page.getByRole("link", { name: "Older" }).count() > 0 }, 60_000);
  await page.getByRole("link", { name: "Older" }).click();
  await page.waitForURL(/cursor=/);
  assert.match(page.url(), /kind=run/);
  assert.ok(!(await page.locator("#feed").innerHTML()).includes(first), "the newest is not on the older page");
  await page.getByRole("link", { name: "Newest" }).click();
  await page.getByRole("link", { name: "Cluster" }).last().click();
  await page.waitForURL(/kind=cluster/);
  assert.equal((await text(page, "#feed")).match(/joined/g)?.length >= 3, true);
  await page.getByRole("link", { name: "Skipped" }).click();
  await page.waitForURL(/kind=skip/);
  await page.locator("[name=search]").fill("nothing has this text");
  await page.keyboard.press("Enter");
  await page.waitForURL(/search=nothing/);
  assert.match(await text(page, "#feed"), /Nothing of that kind is kept/);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("leases count down, and a run that is asked to end counts its grace down and offers to abort", { timeout: 150_000 }, async () => {
  let id;
  await until("a long run goes on", async () => {
    id = (await fleet.get(1, "/runs?state=running&task=search.reindex")).items?.[0]?.id;
    if (!id) await fetch(`${fleet.replicas[0].url}/api/v1/tasks/search.reindex/runs`, { method: "POST", headers: { "content-type": "application/json" }, body: '{"reason":"a test needs one"}' });
    return id;
  }, 60_000);
  const cluster = await open(1, "/cluster"), page = await open(2, `/runs/${id}`);
  const row = cluster.locator("#locks tr", { hasText: "search.reindex" });
  await until("its lease is shown", async () => /\d+ s of 30 s/.test(await row.innerText()));
  const left = async () => Number((await row.innerText()).match(/(\d+) s of 30 s/)[1]);
  const before = await left();
  await until("it counts", async () => await left() !== before, 10_000);
  await until("the run says what it has left", async () => /Time left\s+\d+ min/.test(await text(page, "#facts")) && /Lease\s+\d+ s left of 30 s/.test(await text(page, "#facts")));
  assert.equal(await page.getByRole("button", { name: "Abort…" }).count(), 0);
  // Its task gives up at once when it is asked to: what is seen is that it was asked, or that it has ended.
  await send(page, "Cancel…", "#cancel");
  await until("it was asked to end, or has ended", async () => /Asked to end|cancelled/.test(await text(page, "main")));
  assert.deepEqual([...cluster.complaints, ...page.complaints], []);
  await page.context().close(); await cluster.context().close();
});

test("one past instant is made up for, and what is refused is said in the dialog", { timeout: 90_000 }, async () => {
  const page = await open(0, "/tasks/ledger.close");
  const past = await page.locator("#past option").nth(1).getAttribute("value");
  await send(page, "Run now", "#run", (box) => box.locator("[name=due_at]").fill(past));
  assert.match(page.url(), /\/runs\//);
  const due = await page.locator("#facts time").first().getAttribute("datetime");
  assert.equal(Date.parse(due), Date.parse(past));
  await page.goto(`${fleet.replicas[0].url}/tasks/dunning.email`);
  await page.getByRole("button", { name: "Run now" }).first().click();
  const box = page.locator("dialog#run");
  assert.match(await box.innerText(), /The task is paused by ana/);
  await box.locator("[name=reason]").fill("a test wants it");
  await box.locator(".bar button:not(.by)").click();
  await until("the refusal is in the dialog", async () => /paused/.test(await box.locator(".said").innerText()));
  assert.equal(await box.locator("[name=reason]").inputValue(), "a test wants it");
  await page.context().close();
});

test("a stored task is made, changed and deleted, and other replicas have it", { timeout: 120_000 }, async () => {
  const page = await open(0, "/");
  await page.getByRole("link", { name: "New task" }).click();
  await page.locator("[name=name]").fill("notes.browser");
  await page.locator("[name=handler]").selectOption("note");
  await Promise.all([page.waitForURL(/handler=note/), page.getByRole("button", { name: "Continue" }).click()]);
  await page.locator("[name=cron]").fill("0 15 3 * * *");
  await until("the schedule is explained", async () => (await text(page, "[data-told]")).includes("03:15"));
  await page.locator("[name=reason]").fill("a test wants it");
  await page.locator("[name=params]").fill("{");
  const save = page.getByRole("button", { name: "Save" });
  await save.click();
  assert.equal(await page.locator("textarea:invalid").count(), 1, "what is no JSON is not sent");
  await page.locator("[name=params]").fill('{"text":7}');
  await save.click();
  await until("what does not fit is said", async () => /invalid type/.test(await text(page, ".said")));
  await page.locator("[name=params]").fill('{"text":"<b>hello</b>"}');
  await Promise.all([page.waitForURL(/\/tasks\/notes\.browser$/), save.click()]);
  const other = await open(1, "/tasks/notes.browser");
  await until("another replica has it", async () => { await other.reload(); return (await text(other, "main")).includes("0 15 3 * * *") });
  await other.getByRole("link", { name: "Edit" }).click();
  await other.locator("[name=cron]").fill("0 45 4 * * *");
  await other.locator("[name=reason]").fill("a test wants it");
  await Promise.all([other.waitForURL(/\/tasks\/notes\.browser$/), other.getByRole("button", { name: "Save" }).click()]);
  await until("the change is seen here", async () => { await page.reload(); return (await text(page, "#facts")).includes("0 45 4 * * *") });
  await send(page, "Delete…", "#delete", (box) => box.locator("input[pattern]").fill("notes.browser"));
  await until("it is gone elsewhere", async () => (await other.goto(`${fleet.replicas[1].url}/tasks/notes.browser`)).status() === 404);
  // A refusal's answer is a complaint of the console; nothing else is.
  assert.deepEqual(page.complaints.filter((c) => !/422/.test(c)), []);
  await page.context().close(); await other.context().close();
});

test("drain and undrain are seen on another replica's page", { timeout: 90_000 }, async () => {
  const page = await open(0, "/cluster"), other = await open(1, "/cluster");
  await send(page, /^Drain… /, "[id^=drain]:popover-open");
  await until("the other page shows it", async () => (await text(other, "#replicas")).includes("draining"));
  await send(other, /^Undrain… /, "[id^=drain]:popover-open");
  await until("it is ready again", async () => !(await text(page, "#replicas")).includes("draining"));
  await page.context().close(); await other.context().close();
});

test("a lock is released by whoever types the task's name, and that is seen elsewhere", { timeout: 120_000 }, async () => {
  const page = await open(0, "/cluster"), other = await open(1, "/activity");
  const release = page.getByRole("button", { name: "Release… search.reindex" });
  await until("the long task holds its lock", async () => await release.count() > 0, 100_000);
  await release.first().click();
  const box = page.locator("dialog[id^=unlock]:popover-open");
  await box.locator("[name=reason]").fill("a test wants it");
  await box.locator("input[pattern]").fill("another");
  await box.locator(".bar button:not(.by)").click();
  assert.ok(await box.isVisible(), "a wrong name sends nothing");
  await box.locator("input[pattern]").fill("search.reindex");
  await box.locator("[name=force]").check();
  await Promise.all([page.waitForNavigation(), box.locator(".bar button:not(.by)").click()]);
  await until("the other replica tells it", async () => /unlock/.test(await text(other, "#feed")));
  await page.context().close(); await other.context().close();
});

test("without a script forms work, and nothing is said to be live", { timeout: 60_000 }, async () => {
  const page = await open(0, "/tasks/simple_task", { javaScriptEnabled: false });
  assert.match(await text(page, "#news"), /as of \d\d:\d\d:\d\d/);
  await send(page, "Skip next fire…", "#skip");
  assert.match(await text(page, "#notes"), /Skipped/);
  await page.goto(`${fleet.replicas[0].url}/tasks/simple_task#pause`);
  assert.ok(await page.locator("#pause").isVisible(), "a link opens the dialog");
  await page.context().close();
});

test("keys move and act", { timeout: 60_000 }, async () => {
  const page = await open(0, "/");
  await page.keyboard.press("j");
  const first = await page.evaluate(() => document.activeElement.textContent);
  await page.keyboard.press("j");
  assert.notEqual(await page.evaluate(() => document.activeElement.textContent), first);
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.name), "q");
  await page.keyboard.type("ledger");
  assert.equal(await page.locator("tr[data-name]:visible").count(), 1);
  await page.keyboard.press("Escape");
  await page.locator("[name=q]").blur();
  await page.keyboard.press("j");
  await page.keyboard.press("p");
  await page.waitForURL(/tasks\/ledger\.close/);
  await until("p opens the row's dialog", () => page.locator("#pause").isVisible());
  await page.goto(`${fleet.replicas[0].url}/tasks/ledger.close`);
  await page.keyboard.press("p");
  assert.ok(await page.locator("#pause").isVisible());
  await page.keyboard.press("Escape");
  await page.keyboard.press("c");
  await page.waitForURL(/cluster/);
  await page.context().close();
});

test("a page says that it is stale while Redis is away, and recovers", { timeout: 150_000 }, async () => {
  const page = await open(0, "/");
  await until("it is live", async () => await text(page, "#news") === "live");
  await fleet.stopRedis();
  await until("it is stale", async () => await text(page, "#news") === "stale" && await page.locator("#banner").isVisible(), 60_000);
  assert.match(await text(page, "#banner"), /No data since \d\d:\d\d:\d\d/);
  await page.screenshot({ path: `${shots}stale.png` });
  await fleet.startRedis();
  await until("it is live again", async () => await text(page, "#news") === "live" && !(await page.locator("#banner").isVisible()), 90_000);
  await page.context().close();
});

test("a page of a replica that dies says so, and another replica's shows the loss", { timeout: 120_000 }, async () => {
  const page = await open(2, "/"), other = await open(0, "/cluster");
  await until("it is live", async () => await text(page, "#news") === "live");
  await fleet.kill(2);
  await until("it is stale", async () => await text(page, "#news") === "stale", 60_000);
  assert.match(await text(page, "#banner"), /This replica does not answer/);
  await until("the loss is told", async () => (await text(other, "#replicas")).includes("lost"), 60_000);
  await page.context().close(); await other.context().close();
});
