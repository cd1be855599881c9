// Chromium, and what holds for every page of ours: nothing loaded from elsewhere, the policy of its headers, no complaint of
// axe-core, no scrolling to the side on a phone, a picture of it kept.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const policy = "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'";

export const phone = { width: 360, height: 740 };
export const narrow = { width: 320, height: 640 };
export const desk = { width: 1024, height: 768 };

let browser;

export async function open() {
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
  return browser;
}

export async function close() {
  await browser?.close();
}

// A browser of its own: no cookies. Requests to anywhere but `base` and localhost callbacks are refused and remembered.
export async function visitor(base, options = {}) {
  const context = await browser.newContext({ viewport: desk, locale: "en-GB", ...options });
  const strangers = [];
  const allowed = options.origins ?? [];

  await context.route("**/*", (route) => {
    const url = new URL(route.request().url());
    if (url.origin === base || allowed.includes(url.origin) || url.protocol === "data:") return route.continue();
    strangers.push(url.href);
    return route.abort();
  });
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (m) => m.type() === "error" && !m.text().startsWith("Failed to load resource") && complaints.push(m.text()));
  page.on("pageerror", (e) => complaints.push(String(e)));
  page.setDefaultTimeout(20_000);
  return { context, page, strangers, complaints };
}

// All that is said above of the page that is shown. `name` is that of its picture.
export async function inspect(v, name, { scripted = false, path } = {}) {
  const { page, strangers, complaints } = v;

  if (path) {
    const answer = await page.goto(path);
    const headers = answer.headers();

    assert.equal(headers["content-security-policy"], scripted ? `${policy}; script-src 'self'` : policy, name);
    assert.equal(headers["x-content-type-options"], "nosniff", name);
    assert.equal(headers["referrer-policy"], "no-referrer", name);
    assert.equal(headers["cache-control"], "no-store", name);
  }
  const before = page.viewportSize();
  for (const size of [phone, narrow]) {
    await page.setViewportSize(size);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(wide <= 0, `${name}: ${wide} pixels too wide at ${size.width}`);
    if (size === phone) await picture(page, `${name}-phone`);
  }
  await page.setViewportSize(before);
  await picture(page, name);
  await page.emulateMedia({ colorScheme: "dark" });
  await picture(page, `${name}-dark`);
  await accessible(page, `${name}, dark`);
  await page.emulateMedia({ colorScheme: "light" });
  await accessible(page, name);
  assert.deepEqual(strangers, [], `${name}: loads from elsewhere`);
  assert.deepEqual(complaints, [], `${name}: the browser complains`);
}

// A second session of the browser's protocol that ends would take the page's virtual authenticators with it.
const sessions = new WeakMap();
export async function protocol(page) {
  if (!sessions.has(page)) sessions.set(page, await page.context().newCDPSession(page));
  return sessions.get(page);
}

// In a world of its own beside the page's, which the page's policy does not reach.
async function accessible(page, name) {
  const client = await protocol(page);
  const { frameTree } = await client.send("Page.getFrameTree");
  const { executionContextId } = await client.send("Page.createIsolatedWorld", { frameId: frameTree.frame.id });
  const run = async (expression) => {
    const { result, exceptionDetails } = await client.send("Runtime.evaluate", {
      expression, contextId: executionContextId, awaitPromise: true, returnByValue: true,
    });
    assert.equal(exceptionDetails, undefined, JSON.stringify(exceptionDetails));
    return result.value;
  };

  await run(`${axe}; undefined`);
  const violations = await run(
    `axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })
       .then((r) => r.violations.map((v) => v.id + ": " + v.help + " " + v.nodes.map((n) => n.html).join(" | ")))`,
  );
  assert.deepEqual(violations, [], `${name}: axe-core`);
}

const pictures = process.env.ROOKERY_WEB_PICTURES;
async function picture(page, name) {
  if (!pictures) return;
  mkdirSync(pictures, { recursive: true });
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
}

// Types into what has the focus, and goes on to the next thing that takes it: no mouse.
export async function type(page, text) {
  await page.keyboard.type(text);
}
export async function tab(page, times = 1) {
  for (let i = 0; i < times; i++) await page.keyboard.press("Tab");
}
// What has the focus must show it.
export async function focused(page) {
  return page.evaluate(() => {
    const e = document.activeElement;
    const style = getComputedStyle(e);

    return { tag: e.tagName, name: e.name ?? "", text: e.textContent.trim(), outlined: style.outlineStyle !== "none" };
  });
}
