// `node pages.mjs BASE`: every page, of a server that has no account yet. Setup by its wizard, login with the keyboard alone,
// an invitation, a device, a password changed, signing out; once more without JavaScript and in German.

import assert from "node:assert/strict";
import { close, focused, inspect, open, phone, tab, type, visitor } from "./lib/browser.mjs";
import { device, poll, request, rest } from "./lib/provider.mjs";

const base = process.argv[2];
const owner = { name: "Ada Owner", email: "ada@example.org", password: "Correct-horse-1" };
const back = (url) => url.href.startsWith(`${base}/nb-auth`);

await open();

// The wizard: what is wrong is said at its field; then the account is there, and the wizard is not.
{
  const v = await visitor(base, { javaScriptEnabled: true });
  const { page } = v;

  await inspect(v, "setup", { path: `${base}/oauth2/setup` });
  await type(page, owner.name);
  await tab(page);
  await type(page, owner.email);
  await tab(page);
  await type(page, "correct-horse-1");
  await tab(page);
  await type(page, "correct-horse-1");
  await page.keyboard.press("Enter");
  await page.getByText("needs a digit, an uppercase letter").waitFor();
  assert.equal(await page.getByLabel("New password").getAttribute("aria-invalid"), "true");
  assert.equal(await page.getByLabel("Name").inputValue(), owner.name);
  assert.equal(await page.getByLabel("New password").inputValue(), "");
  await inspect(v, "setup-wrong");
  await page.getByLabel("New password").fill(owner.password);
  await page.getByLabel("Repeat the password").fill(owner.password);
  await page.getByRole("button", { name: "Create account" }).click();
  await page.getByRole("heading", { name: "All set" }).waitFor();
  await inspect(v, "setup-done");
  const again = await page.goto(`${base}/oauth2/setup`);
  assert.equal(again.status(), 404);
  await inspect(v, "setup-over");
  await v.context.close();
}

// Login by keyboard: the address has the focus, an error is announced, what was typed stays but for the password.
let token;
{
  const v = await visitor(base);
  const { page } = v;
  const asked = request(base, { login_hint: "" });

  await page.goto(asked.url);
  await inspect(v, "login", { path: page.url() });
  assert.deepEqual(await focused(page), { tag: "INPUT", name: "login", text: "", outlined: true });
  assert.equal(await page.getByLabel("Email Address").getAttribute("autocomplete"), "username");
  assert.equal(await page.getByLabel("Password").getAttribute("autocomplete"), "current-password");
  await type(page, owner.email);
  await tab(page);
  await type(page, "wrong");
  await page.keyboard.press("Enter");
  const alert = page.getByRole("alert");
  await alert.waitFor();
  assert.equal(await alert.textContent(), "Invalid Email Address or password.");
  assert.equal(await page.getByLabel("Email Address").inputValue(), owner.email);
  assert.equal(await page.getByLabel("Password").inputValue(), "");
  await inspect(v, "login-wrong");
  assert.equal((await focused(page)).name, "password");
  await type(page, owner.password);
  await tab(page);
  assert.equal((await focused(page)).name, "remember_me");
  await page.keyboard.press("Space");
  await tab(page);
  assert.deepEqual(await focused(page), { tag: "BUTTON", name: "", text: "Sign in", outlined: true });
  await page.keyboard.press("Enter");
  await page.waitForURL(back);
  token = (await asked.take(page.url())).access_token;

  for (const c of await v.context.cookies()) {
    assert.equal(c.httpOnly, true, c.name);
    assert.equal(c.sameSite, "Lax", c.name);
    assert.equal(c.path, "/oauth2", c.name);
  }
  const session = (await v.context.cookies()).find((c) => c.name === "netbird-session");
  assert.ok(session.expires > Date.now() / 1000 + 3600, "remembered");

  // Once signed in nothing is asked again.
  await page.goto(request(base).url);
  await page.waitForURL(back);

  // A password is changed by who knows it; the browser that did so stays signed in.
  await inspect(v, "password", { path: `${base}/oauth2/password` });
  const changed = "Battery-staple-2";
  await page.getByLabel("Current password").fill("nope");
  await page.getByLabel("New password").fill(changed);
  await page.getByLabel("Repeat the password").fill(changed);
  await page.getByRole("button", { name: "Change password" }).click();
  await page.getByText("The current password is not right.").waitFor();
  await inspect(v, "password-wrong");
  await page.getByLabel("Current password").fill(owner.password);
  await page.getByLabel("New password").fill(changed);
  await page.getByLabel("Repeat the password").fill(changed);
  await page.getByRole("button", { name: "Change password" }).click();
  await page.getByText("other sessions have been signed out").waitFor();
  await inspect(v, "password-done");
  owner.password = changed;
  await page.goto(request(base).url);
  await page.waitForURL(back);

  // Signing out without a hint asks first.
  await page.goto(`${base}/oauth2/logout`);
  await inspect(v, "logout", { path: page.url() });
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForLoadState();

  // What was given out before ended with the password and the session.
  await assert.rejects(rest(base, token, "GET", "/api/users/current"), /401/);
  const anew = request(base);
  await page.goto(anew.url);
  await page.getByLabel("Email Address").fill(owner.email);
  await page.getByLabel("Password").fill(owner.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(back);
  token = (await anew.take(page.url())).access_token;
  await v.context.close();
}

// An invitation, on a phone.
{
  const invite = await rest(base, token, "POST", "/api/users/invites", {
    email: "bob@example.org", name: "Bob <script>alert(1)</script>", role: "user", auto_groups: [],
  });
  const v = await visitor(base, { viewport: phone });
  const { page } = v;

  await inspect(v, "invite", { path: `${base}/oauth2/invite?token=${invite.invite_token}` });
  await type(page, "Good-morning-3");
  await tab(page);
  await type(page, "Good-morning-4");
  await page.keyboard.press("Enter");
  await page.getByText("The two passwords are not the same.").waitFor();
  await inspect(v, "invite-wrong");
  await page.getByLabel("New password").fill("Good-morning-3");
  await page.getByLabel("Repeat the password").fill("Good-morning-3");
  await page.getByRole("button", { name: "Join" }).click();
  await page.getByText("Your account is ready.").waitFor();
  await inspect(v, "invite-done");
  const again = await page.goto(`${base}/oauth2/invite?token=${invite.invite_token}`);
  assert.equal(again.status(), 404);
  await inspect(v, "invite-over");
  await v.context.close();
}

// A device: typed with spaces and in lower case, approved by name; another one is denied.
for (const answer of ["Approve", "Deny"]) {
  const started = await device(base);
  const v = await visitor(base);
  const { page } = v;
  const name = answer.toLowerCase();

  await inspect(v, `device-${name}`, { path: `${base}/oauth2/device` });
  await type(page, "BBBB-BBBB");
  await page.keyboard.press("Enter");
  await page.getByText("Invalid user code.").waitFor();
  await inspect(v, `device-${name}-wrong`);
  await page.getByLabel("Code").fill(started.user_code.toLowerCase().replace("-", " "));
  await page.keyboard.press("Enter");
  await page.getByLabel("Email Address").fill("bob@example.org");
  await page.getByLabel("Password").fill("Good-morning-3");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Is this your device?" }).waitFor();
  assert.ok((await page.locator("dl").textContent()).includes(started.user_code));
  assert.ok((await page.locator("dl").textContent()).includes("bob@example.org"));
  await inspect(v, `device-${name}-confirm`);
  await page.getByRole("button", { name: answer }).click();
  await page.getByRole("heading", { name: answer === "Approve" ? "Device connected" : "Request denied" }).waitFor();
  await inspect(v, `device-${name}-done`);
  const got = await poll(base, started.device_code);
  if (answer === "Approve") assert.equal(got.access_token?.split(".").length, 3, JSON.stringify(got));
  else assert.equal(got.error, "access_denied");
  await v.context.close();
}

// Without JavaScript, in German.
{
  const v = await visitor(base, { javaScriptEnabled: false, locale: "de-DE" });
  const { page } = v;
  const asked = request(base, { login_hint: "bob@example.org" });

  await page.goto(asked.url);
  assert.equal(await page.locator("html").getAttribute("lang"), "de");
  assert.equal(await page.getByLabel("E-Mail-Adresse").inputValue(), "bob@example.org");
  assert.equal((await focused(page)).name, "password");
  await page.getByLabel("Passwort").fill("falsch");
  await page.getByRole("button", { name: "Anmelden" }).click();
  await page.getByText("E-Mail-Adresse oder Passwort ist falsch.").waitFor();
  await page.getByLabel("Passwort").fill("Good-morning-3");
  await page.getByRole("button", { name: "Anmelden" }).click();
  await page.waitForURL(back);
  await asked.take(page.url());
  await v.context.close();
}

// What is wrong with a request is a page, of the same look, that leads nowhere.
{
  const v = await visitor(base);
  const { page } = v;

  const answer = await page.goto(`${base}/oauth2/auth?client_id=%3Cscript%3E&redirect_uri=https://evil.example/`);
  assert.equal(answer.status(), 400);
  assert.equal(answer.headers().location, undefined);
  await inspect(v, "error");
  assert.equal((await page.goto(`${base}/oauth2/auth/local/login?login=x`)).status(), 400);
  await inspect(v, "error-over");
  await v.context.close();
}

await close();
