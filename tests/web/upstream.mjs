// `node upstream.mjs ISSUER PORT REDIRECT_URI LOGOUT_URI`: npm oidc-provider on loopback, as somebody else's identity provider, with
// whatever makes it the issuer in front. Anybody may sign in under any name, with any password. Its clients: "connector" with a
// secret, which is the embedded provider, and "agent", which is public, has no provider of ours between and gets access tokens that
// are JWTs. Its keys are new each time. Says "ready", and ends with its standard input.

import { generateKeyPairSync, randomUUID } from "node:crypto";
import Provider from "oidc-provider";

const [issuer, port, redirect, logout] = process.argv.slice(2);
const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });

const provider = new Provider(issuer, {
  jwks: { keys: [{ ...key, kid: randomUUID(), use: "sig", alg: "RS256" }] },
  clients: [
    {
      client_id: "connector",
      client_secret: "a secret of 100% +&= letters",
      redirect_uris: [redirect],
      post_logout_redirect_uris: [logout],
      grant_types: ["authorization_code"],
      response_types: ["code"],
    },
    {
      client_id: "agent",
      token_endpoint_auth_method: "none",
      application_type: "native",
      redirect_uris: ["http://localhost:53000/"],
      grant_types: ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
      response_types: ["code"],
    },
  ],
  scopes: ["openid", "profile", "email", "groups", "offline_access"],
  claims: { openid: ["sub"], profile: ["name", "preferred_username"], email: ["email", "email_verified"], groups: ["groups"] },
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: async () => ({ sub: id, name: `Person ${id}`, email: `${id}@people.test`, email_verified: true, groups: ["engineers"] }),
  }),
  extraTokenClaims: (ctx, token) => ({ email: `${token.accountId}@people.test`, groups: ["engineers"] }),
  features: {
    deviceFlow: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: (ctx, client) => (client.clientId === "agent" ? "urn:nb" : undefined),
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: "openid email profile groups",
        audience: "agent",
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: "RS256" } },
      }),
    },
  },
  cookies: { keys: ["of a test"] },
});

provider.proxy = true;
// Agents do not live through an answer without an interval, which RFC 8628 permits.
provider.use(async (ctx, next) => {
  await next();
  if (ctx.oidc?.route === "device_authorization" && ctx.body?.device_code) ctx.body = { ...ctx.body, interval: 1 };
});
provider.on("server_error", (ctx, error) => console.error(error));
provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
process.stdin.on("end", () => process.exit(0)).resume();
