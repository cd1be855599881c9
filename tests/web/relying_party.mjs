// npm openid-client, a certified relying party, against our provider: `relying_party.mjs BASE EMAIL PASSWORD`. Each request may meet
// another replica. Signatures are checked by the published keys, as for a client that trusts no channel.

import assert from "node:assert/strict";
import * as client from "openid-client";

const [base, email, password] = process.argv.slice(2);
const issuer = new URL(`${base}/oauth2`);

// A person with a browser, as far as forms go.
class Person {
  cookies = new Map();

  async ask(url, body) {
    const answer = await fetch(url, {
      method: body ? "POST" : "GET",
      body,
      redirect: "manual",
      headers: { cookie: [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ") },
    });
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      this.cookies.set(name, value);
    }
    return answer;
  }

  // Until a page is shown, or somebody else's address comes up.
  async go(url, body) {
    for (let i = 0; i < 10; i++) {
      const answer = await this.ask(url, body);
      if (answer.status < 300 || answer.status >= 400) {
        return { url: new URL(url), status: answer.status, text: await answer.text() };
      }
      url = new URL(answer.headers.get("location"), url).href;
      body = undefined;
      if (!url.startsWith(`${base}/oauth2/`)) return { url: new URL(url), status: 0, text: "" };
    }
    assert.fail(`round and round, at ${url}`);
  }

  async fill(page, values) {
    const attribute = (tag, name) => new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1].replaceAll("&amp;", "&");
    const action = attribute(/<form [^>]*>/.exec(page.text)?.[0] ?? assert.fail(`no form: ${page.status} ${page.text}`), "action");
    const body = new URLSearchParams();
    for (const [tag] of page.text.matchAll(/<input [^>]*>/g)) {
      if (attribute(tag, "type") !== "checkbox") body.set(attribute(tag, "name"), attribute(tag, "value") ?? "");
    }
    for (const [name, value] of Object.entries(values)) body.set(name, value);
    return this.go(new URL(action, page.url).href, body);
  }

  async signIn(url) {
    const page = await this.go(url);
    return page.status === 0 ? page : this.fill(page, { login: email, password });
  }
}

async function discovered(id) {
  const config = await client.discovery(issuer, id, undefined, client.None(), { execute: [client.allowInsecureRequests] });
  client.enableNonRepudiationChecks(config);
  return config;
}

const refused = (error, promise) => assert.rejects(promise, (e) => e.error === error || assert.fail(`${e.error}: ${e}`));

const web = await discovered("netbird-dashboard");
const person = new Person();

// Authorization code with PKCE, state and nonce; `iss` is checked as the discovery document announces it.
const verifier = client.randomPKCECodeVerifier();
const state = client.randomState();
const nonce = client.randomNonce();
const at = client.buildAuthorizationUrl(web, {
  redirect_uri: `${base}/nb-auth`,
  scope: "openid profile email groups offline_access",
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
  state,
  nonce,
  max_age: "600",
});
const back = await person.signIn(at.href);
assert.equal(back.status, 0, back.text);
const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, maxAge: 600, idTokenExpected: true };
await assert.rejects(client.authorizationCodeGrant(web, back.url, { ...checks, expectedState: "another" }));
const tokens = await client.authorizationCodeGrant(web, back.url, checks);
const { sub } = tokens.claims();
const info = await client.fetchUserInfo(web, tokens.access_token, sub);
assert.equal(info.email, email);
assert.equal(tokens.claims().email, email);
await assert.rejects(client.fetchUserInfo(web, tokens.access_token, "somebody else"));

// Refresh twice; then the first token again ends the family.
const second = await client.refreshTokenGrant(web, tokens.refresh_token);
const third = await client.refreshTokenGrant(web, second.refresh_token);
assert.equal(third.claims().sub, sub);
assert.equal(new Set([tokens, second, third].map((t) => t.refresh_token)).size, 3);
assert.equal((await client.tokenIntrospection(web, third.access_token)).active, true);
await refused("invalid_grant", client.refreshTokenGrant(web, tokens.refresh_token));
await refused("invalid_grant", client.refreshTokenGrant(web, third.refresh_token));
assert.equal((await client.tokenIntrospection(web, third.access_token)).active, false);

// A device, approved by the person who is signed in already; one that is denied.
const cli = await discovered("netbird-cli");
for (const answer of ["approve", "deny"]) {
  const device = await client.initiateDeviceAuthorization(cli, { scope: "openid profile email groups" });
  const asks = await person.fill(await person.go(device.verification_uri_complete), { user_code: device.user_code });
  assert.match(asks.text, new RegExp(device.user_code));
  assert.equal((await person.fill(asks, { answer })).status, 200);
  const polled = client.pollDeviceAuthorizationGrant(cli, device);
  if (answer === "deny") await refused("access_denied", polled);
  else assert.equal((await polled).claims().sub, sub);
}

// Logout comes back to the client with its state, and nobody is signed in any more.
const out = await person.go(client.buildEndSessionUrl(web, {
  post_logout_redirect_uri: `${base}/`, id_token_hint: third.id_token, state: "the end",
}).href);
assert.equal(out.url.href, `${base}/?state=the%20end`);
const silent = await person.go(`${at.href}&prompt=none`);
assert.equal(silent.url.searchParams.get("error"), "login_required");
assert.equal(silent.url.searchParams.get("state"), state);
