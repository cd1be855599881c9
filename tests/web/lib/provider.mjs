// Our provider as its clients use it: requests for a code, devices, REST with the token that comes of it.

import assert from "node:assert/strict";
import { createHash, createHmac, randomBytes } from "node:crypto";

const b64 = (bytes) => bytes.toString("base64url");

// An authorization request of the dashboard; `take` trades the code that the browser was sent back with.
export function request(base, more = {}) {
  const verifier = b64(randomBytes(48));
  const query = new URLSearchParams({
    client_id: "netbird-dashboard",
    redirect_uri: `${base}/nb-auth`,
    response_type: "code",
    scope: "openid profile email groups",
    state: "state",
    nonce: "nonce",
    code_challenge: b64(createHash("sha256").update(verifier).digest()),
    code_challenge_method: "S256",
    ...more,
  });

  return {
    url: `${base}/oauth2/auth?${query}`,
    async take(back) {
      const code = new URL(back).searchParams.get("code");
      assert.ok(code, `no code in ${back}`);
      const answer = await fetch(`${base}/oauth2/token`, {
        method: "POST",
        body: new URLSearchParams({
          grant_type: "authorization_code", client_id: "netbird-dashboard", redirect_uri: `${base}/nb-auth`, code,
          code_verifier: verifier,
        }),
      });
      assert.equal(answer.status, 200, await answer.clone().text());
      return answer.json();
    },
  };
}

export async function device(base) {
  const answer = await fetch(`${base}/oauth2/device/code`, {
    method: "POST",
    body: new URLSearchParams({ client_id: "netbird-cli", scope: "openid profile email groups" }),
  });
  assert.equal(answer.status, 200, await answer.clone().text());
  return answer.json();
}
export async function poll(base, code) {
  const answer = await fetch(`${base}/oauth2/token`, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "urn:ietf:params:oauth:grant-type:device_code", client_id: "netbird-cli", device_code: code,
    }),
  });
  return answer.json();
}

export async function rest(base, token, method, path, body) {
  const answer = await fetch(`${base}${path}`, {
    method,
    headers: { ...(token ? { authorization: `Bearer ${token}` } : {}), "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : undefined;
}

// RFC 6238, by itself.
export function totp(base32, at = Date.now()) {
  const bits = [...base32.replaceAll(" ", "")].map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0"));
  const key = Buffer.from(bits.join("").match(/.{8}/g).map((b) => parseInt(b, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(at / 30_000)));
  const mac = createHmac("sha1", key).update(counter).digest();
  return ((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1_000_000).toString().padStart(6, "0");
}
