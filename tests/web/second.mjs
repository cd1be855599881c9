// `node second.mjs BASE E-MAIL PASSWORD`: the second step, of an owner whose account has none yet. It is set up at the next login;
// codes, recovery codes and a passkey let in once each, and everything else is refused.

import assert from "node:assert/strict";
import { close, inspect, open, protocol, visitor } from "./lib/browser.mjs";
import { request, rest, totp } from "./lib/provider.mjs";

const [base, email, password] = process.argv.slice(2);
const back = (url) => url.href.startsWith(`${base}/nb-auth`);

// To the page behind the password.
async function enter(v, more) {
  const asked = request(base, { prompt: "login", ...more });

  await v.page.goto(asked.url);
  await v.page.getByLabel("Email Address").fill(email);
  await v.page.getByLabel("Password").fill(password);
  await v.page.getByRole("button", { name: "Sign in" }).click();
  return asked;
}
async function give(page, label, code) {
  await page.getByLabel(label, { exact: true }).fill(code);
  await page.getByRole("button", { name: "Verify" }).click();
}

await open();

// Switched on by the owner.
{
  const v = await visitor(base);
  const asked = await enter(v);
  await v.page.waitForURL(back);
  const { access_token } = await asked.take(v.page.url());
  const [account] = await rest(base, access_token, "GET", "/api/accounts");
  await rest(base, access_token, "PUT", `/api/accounts/${account.id}`, {
    ...account, settings: { ...account.settings, local_mfa_enabled: true },
  });
  // The session of before has no second step: silent renewal is told so.
  await v.page.goto(request(base, { prompt: "none" }).url);
  assert.equal(new URL(v.page.url()).searchParams.get("error"), "interaction_required");
  await v.context.close();
}

// Set up at the next login: the picture and the key, a code, the recovery codes, a passkey.
const v = await visitor(base);
const { page } = v;
const devices = await protocol(page);
await devices.send("WebAuthn.enable");
const { authenticatorId } = await devices.send("WebAuthn.addVirtualAuthenticator", {
  options: { protocol: "ctap2", transport: "usb", hasUserVerification: true, isUserVerified: true },
});
let asked = await enter(v);
await page.getByRole("heading", { name: "Set up two-step verification" }).waitFor();
const key = await page.locator(".key").textContent();
assert.match(key, /^([A-Z2-7]{4} ){7}[A-Z2-7]{4}$/);
await inspect(v, "enrol", { path: page.url() });
assert.equal(await page.locator(".key").textContent(), key, "the same key while it is being set up");
await give(page, "Code", "000000");
await page.getByText("That code is not right").waitFor();
await inspect(v, "enrol-wrong");
const used = totp(key);
await give(page, "Code", used);
await page.getByRole("heading", { name: "Your recovery codes" }).waitFor();
const codes = await page.locator(".codes li").allTextContents();
assert.equal(new Set(codes).size, 10);
await inspect(v, "codes");
const [download] = await Promise.all([page.waitForEvent("download"), page.getByText("Download as a text file").click()]);
const chunks = [];
for await (const chunk of await download.createReadStream()) chunks.push(chunk);
const file = Buffer.concat(chunks).toString();
for (const code of codes) assert.ok(file.includes(code));
await page.getByRole("button", { name: "I have kept the codes" }).click();
await page.getByRole("heading", { name: "Add a passkey?" }).waitFor();
await inspect(v, "offer", { path: page.url(), scripted: true });
await page.getByRole("button", { name: "Add a passkey" }).click();
await page.waitForURL(back);
await asked.take(page.url());
const { credentials } = await devices.send("WebAuthn.getCredentials", { authenticatorId });
assert.equal(credentials.length, 1);
assert.equal(credentials[0].rpId, new URL(base).hostname);

// The passkey in place of a code.
asked = await enter(v);
await page.getByRole("link", { name: "Use a passkey" }).click();
await page.getByRole("heading", { name: "Use your passkey" }).waitFor();
await inspect(v, "passkey", { path: page.url(), scripted: true });
await page.getByRole("button", { name: "Use a passkey" }).click();
await page.waitForURL(back);
await asked.take(page.url());

// One that nobody confirms is refused, and the codes are still there.
await devices.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
await devices.send("WebAuthn.removeVirtualAuthenticator", { authenticatorId });
asked = await enter(v);
await page.getByRole("link", { name: "Use a passkey" }).click();
await page.evaluate(() => {
  const form = document.getElementById("passkey");
  form.elements.credential.value = "AAAA";
  form.elements.client_data.value = "e30";
  form.elements.authenticator_data.value = "AAAA";
  form.elements.signature.value = "AAAA";
  form.submit();
});
await page.getByText("The passkey did not work.").first().waitFor();
await page.getByRole("link", { name: "Use the authenticator app instead" }).click();

// A code is good once: not the one of the setup again.
await give(page, "Code", used);
await page.getByText("That code is not right").waitFor();
await inspect(v, "totp-wrong");
await page.getByRole("link", { name: "Use a recovery code instead" }).click();
await inspect(v, "recovery", { path: page.url() });
await give(page, "Recovery code", "00000-00000");
await page.getByText("That recovery code is not right").waitFor();
await inspect(v, "recovery-wrong");
await give(page, "Recovery code", codes[0].toLowerCase());
await page.waitForURL(back);
await asked.take(page.url());
await v.context.close();

// Five in vain, and the password is asked for again. The page of the second step belongs to the browser that gave the password.
{
  const w = await visitor(base);
  await enter(w);
  await w.page.getByRole("heading", { name: "Two-step verification" }).waitFor();
  await inspect(w, "totp", { path: w.page.url() });
  const here = w.page.url();
  const other = await visitor(base);
  assert.equal((await other.page.goto(here)).status(), 400);
  await other.context.addCookies((await w.context.cookies()).filter((c) => c.name === "netbird-page"));
  assert.equal((await other.page.goto(here)).status(), 400, "the page cookie alone is not enough");
  await other.context.close();

  await give(w.page, "Code", "000000");
  await w.page.getByRole("link", { name: "Use a recovery code instead" }).click();
  await give(w.page, "Recovery code", codes[0]); // was used
  for (let i = 0; i < 3; i++) {
    await w.page.goto(here);
    await give(w.page, "Code", "000000");
  }
  await w.page.getByText("Too many wrong codes. Sign in again.").waitFor();
  await inspect(w, "totp-over");
  assert.equal((await w.page.goto(here)).status(), 400);
  await w.context.close();
}

// Ten in a quarter of an hour, and even the right one waits.
{
  const w = await visitor(base);
  await enter(w);
  await give(w.page, "Code", "000000"); // after the four and the five above
  await w.page.getByText("That code is not right").waitFor();
  await give(w.page, "Code", totp(key));
  await w.page.getByText("Too many wrong codes. Wait a few minutes").waitFor();
  await inspect(w, "totp-wait");
  await w.context.close();
}

await close();
