// `node upstream.mjs PORT REDIRECT_URI LOGOUT_URI`: npm oidc-provider on loopback, as somebody else's identity provider. Anybody may sign
// in under any name, with any password. Its clients: "connector" with a secret, which is the embedded provider, and "agent", which
// is public, has no provider of ours between and gets access tokens that are JWTs. Says "ready", and ends with its standard input.

import Provider from "oidc-provider";

const [port, redirect, logout] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;

const provider = new Provider(issuer, {
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

provider.on("server_error", (ctx, error) => console.error(error));
provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
process.stdin.on("end", () => process.exit(0)).resume();
