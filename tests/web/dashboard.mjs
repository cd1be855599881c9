// `node dashboard.mjs BASE E-MAIL PASSWORD`: the dashboard's own login library against our provider, in a small page of another
// origin: login, the calls of its first page, renewal in a hidden frame when the token runs out, logout.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { close, open, visitor } from "./lib/browser.mjs";

const [base, email, password, port] = process.argv.slice(2);
const origin = `http://localhost:${port}`;
const library = join(dirname(createRequire(import.meta.url).resolve("@axa-fr/oidc-client")), "index.js");

// The dashboard's configuration (scopes, paths), and its policy.
const html = `<!doctype html><title>dashboard</title><script type="module">
import { OidcClient } from "/library.js";
const make = OidcClient.getOrCreate(() => fetch);
const client = make({
  client_id: "netbird-dashboard", redirect_uri: "${origin}/nb-auth", silent_redirect_uri: "${origin}/nb-silent-auth",
  scope: "openid profile email groups", authority: "${base}/oauth2", token_automatic_renew_mode: undefined,
  refresh_time_before_tokens_expiration_in_second: 30, service_worker_only: false, demonstrating_proof_of_possession: false,
  extras: { audience: "netbird-dashboard" },
});
window.client = client;
window.events = [];
client.subscribeEvents((name, data) => window.events.push([name, JSON.stringify(data?.message ?? null)]));
const path = location.pathname;
if (path === "/nb-silent-auth") await client.silentLoginCallbackAsync();
else if (path === "/nb-silent-auth-login") await client.loginAsync(undefined, Object.fromEntries(new URLSearchParams(location.search)), true);
else {
  await client.tryKeepExistingSessionAsync();
  if (path === "/nb-auth") { await client.loginCallbackAsync(); history.replaceState(null, "", "/"); }
  else if (!client.tokens) await client.loginAsync("/");
  window.ready = true;
}
</script>`;
const server = createServer(async (q, a) => {
  if (q.url === "/library.js") {
    a.writeHead(200, { "content-type": "text/javascript" }).end(await readFile(library));
  } else {
    a.writeHead(200, {
      "content-type": "text/html",
      "content-security-policy": `connect-src 'self' ${base}; frame-src 'self' ${base}; frame-ancestors 'self'`,
    }).end(html);
  }
}).listen(Number(port), "127.0.0.1");

await open();
const v = await visitor(base, { origins: [origin] });
const { page } = v;
const requests = [];
page.on("request", (r) => requests.push(`${r.method()} ${new URL(r.url()).pathname}`));

const call = (path) =>
  page.evaluate(async ([base, path]) => {
    const answer = await fetch(base + path, { headers: { authorization: `Bearer ${window.client.tokens.accessToken}` } });
    return { status: answer.status, body: await answer.json() };
  }, [base, path]);

// From nothing to the first page.
await page.goto(origin);
await page.getByLabel("Email Address").fill(email);
await page.getByLabel("Password").fill(password);
await page.getByRole("button", { name: "Sign in" }).click();
await page.waitForFunction(() => window.ready && window.client?.tokens);
const first = await page.evaluate(() => window.client.tokens);
assert.equal(first.accessToken.split(".").length, 3);
assert.equal(first.idTokenPayload.email, email);
const user = await page.evaluate(() => window.client.userInfoAsync(true));
assert.equal(user.email, email);
assert.equal(user.sub, first.idTokenPayload.sub);
for (const path of ["/api/users/current", "/api/users", "/api/accounts", "/api/groups", "/api/peers", "/api/instance/version"]) {
  const got = await call(path);
  assert.equal(got.status, 200, `${path}: ${JSON.stringify(got.body)}`);
}
const me = (await call("/api/users/current")).body;
assert.equal(me.role, "owner");
assert.equal(me.idp_id, "local");
assert.equal(me.id, first.idTokenPayload.sub);

// The hidden frame brings a new token without anybody being asked.
await page.evaluate(() => window.client.renewTokensAsync());
await page.waitForFunction((old) => window.client.tokens?.accessToken && window.client.tokens.accessToken !== old, first.accessToken);
assert.equal((await call("/api/users/current")).status, 200);
assert.ok(requests.includes("GET /nb-silent-auth"), "renewed in a frame");

// Another tab is signed in by the cookie alone.
const second = await v.context.newPage();
await second.goto(origin);
await second.waitForFunction(() => window.ready && window.client?.tokens);
await second.close();

// Out: the session is gone, and whoever comes is asked again.
await page.evaluate(() => void window.client.logoutAsync("/"));
await page.getByLabel("Password").waitFor();
assert.ok(requests.includes("GET /oauth2/logout"));
assert.equal((await v.context.cookies()).find((c) => c.name === "netbird-session"), undefined);
assert.deepEqual(v.strangers, []);
await close();
server.close();
