// `node chooser.mjs BASE E-MAIL PASSWORD`: several ways to sign in, by keyboard.

import assert from "node:assert/strict";
import { close, inspect, open, tab, visitor } from "./lib/browser.mjs";
import { request } from "./lib/provider.mjs";

const [base, email, password] = process.argv.slice(2);

await open();
const v = await visitor(base);
const { page } = v;
const asked = request(base);

await page.goto(asked.url);
await inspect(v, "chooser");
const ways = await page.locator("main a").allTextContents();
assert.equal(ways[0], "Continue with Email");
assert.deepEqual([...ways.slice(1)].sort(), [
  "Continue with <b>Bold</b>",
  "Continue with A provider with a name that is long enough to need two lines",
  "Continue with Example & Co",
]);
await tab(page);
await page.keyboard.press("Enter");
await page.getByLabel("Password").waitFor();
await inspect(v, "login-of-several");
await page.getByRole("link", { name: "Choose another login method" }).click();
await page.getByRole("link", { name: "Continue with Email" }).click();
await page.getByLabel("Email Address").fill(email);
await page.getByLabel("Password").fill(password);
await page.getByRole("button", { name: "Sign in" }).click();
await page.waitForURL((url) => url.href.startsWith(`${base}/nb-auth`));
await asked.take(page.url());
await v.context.close();
await close();
