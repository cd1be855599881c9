// A passkey as the second step. The form says what to do (data-passkey: "create" or "get") and with what (data-options); what the
// browser answers goes into its hidden fields, and the form is sent as any other.

const form = document.getElementById("passkey");
const failed = document.getElementById("passkey-failed");

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

const known = (ids) => ids.map((id) => ({ type: "public-key", id: bytes(id) }));

async function create(options) {
  const made = await navigator.credentials.create({
    publicKey: {
      challenge: bytes(options.challenge),
      rp: { id: options.rp, name: "Rookery" },
      user: { id: bytes(options.user), name: options.name, displayName: options.name },
      pubKeyCredParams: options.algorithms.map((alg) => ({ type: "public-key", alg })),
      excludeCredentials: known(options.credentials),
      authenticatorSelection: { userVerification: "preferred", residentKey: "discouraged" },
      attestation: "none",
      timeout: 120000,
    },
  });

  return {
    client_data: made.response.clientDataJSON,
    authenticator_data: made.response.getAuthenticatorData(),
  };
}

async function get(options) {
  const given = await navigator.credentials.get({
    publicKey: {
      challenge: bytes(options.challenge),
      rpId: options.rp,
      allowCredentials: known(options.credentials),
      userVerification: "preferred",
      timeout: 120000,
    },
  });

  return {
    credential: given.rawId,
    client_data: given.response.clientDataJSON,
    authenticator_data: given.response.authenticatorData,
    signature: given.response.signature,
  };
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  failed.hidden = true;
  try {
    const options = JSON.parse(form.dataset.options);
    const answer = await (form.dataset.passkey === "create" ? create : get)(options);

    for (const [name, value] of Object.entries(answer)) form.elements[name].value = text(value);
    form.submit();
  } catch {
    failed.hidden = false;
  }
});
form.hidden = !window.PublicKeyCredential;
