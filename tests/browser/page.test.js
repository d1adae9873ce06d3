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
  page.on("requestfailed", (request) => page.complaints.push(`${request.url()}: ${request.failure()?.errorText}`));
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
  const screens = { tasks: "/", task: "/tasks/invoices.sync", run: `/runs/${run}`, activity: "/activity", cluster: "/cluster" };
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
  const phone = await open(0, "/", { viewport: { width: 390, height: 800 } });
  await phone.screenshot({ path: `${shots}tasks-phone.png` });
  assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the phone's page is too wide");
  await phone.context().close();
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
