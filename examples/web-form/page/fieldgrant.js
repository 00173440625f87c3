// Uploads from a page: a key made for this visit (never leaves WebCrypto), delegated by the site's server, signs (RFC 9421).
const A = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const b58 = (bytes) => {
  let n = BigInt("0x" + Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("")), s = "";
  for (; n; n /= 58n) s = A[Number(n % 58n)] + s;
  return s;
};
const b64 = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)));
const wait = (s) => new Promise((done) => setTimeout(done, s * 1000));

export async function visit() {
  const { publicKey, privateKey } = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
  const raw = new Uint8Array(await crypto.subtle.exportKey("raw", publicKey));
  const id = "z" + b58([0xed, 1, ...raw]);
  return { did: "did:key:" + id, method: `did:key:${id}#${id}`, key: privateKey };
}

export async function sign(me, url, body, at = Date.now()) {
  const digest = `sha-256=:${b64(await crypto.subtle.digest("SHA-256", body))}:`;
  const nonce = b64(crypto.getRandomValues(new Uint8Array(18)));
  const input = `("@method" "@target-uri" "content-digest");created=${Math.floor(at / 1000)};keyid="${me.method}";` +
    `alg="ed25519";nonce="${nonce}";tag="fieldgrant"`;
  const base = `"@method": POST\n"@target-uri": ${url}\n"content-digest": ${digest}\n"@signature-params": ${input}`;
  const made = await crypto.subtle.sign("Ed25519", me.key, new TextEncoder().encode(base));
  return {
    "Content-Type": "application/json", "Content-Digest": digest,
    "Signature-Input": `fieldgrant=${input}`, Signature: `fieldgrant=:${b64(made)}:`,
  };
}

// One upload: {purpose, ground, values}. Answers {status, stored, refused, code}; only status 200 means stored.
export async function send(me, base, delegation, upload) {
  const url = base + "/crm/ingest";
  const now = new Date().toISOString().slice(0, 19) + "Z";
  const one = { id: "urn:uuid:" + crypto.randomUUID(), subject: null, collected_at: now, ...upload };
  const body = new TextEncoder().encode(JSON.stringify({ delegation, uploads: [one] }));
  let skew = 0;
  for (let n = 0; ; n++) {
    let answer;
    try {
      const headers = await sign(me, url, body, Date.now() + skew);
      answer = await fetch(url, { method: "POST", body, headers, credentials: "omit", referrerPolicy: "no-referrer" });
    } catch (error) {
      if (n > 3) throw error;
    }
    const told = answer && (await answer.json().catch(() => null));
    if (told?.results) return told.results[0];
    const stale = told?.code == "stale_signature";
    if (answer && ((answer.status < 500 && answer.status != 429 && !stale) || n > 3)) return { status: answer.status, ...told };
    if (stale) skew = Date.parse(answer.headers.get("Date")) - Date.now() || 0;
    else await wait(Number(answer?.headers.get("Retry-After")) || 2 ** n * (0.5 + Math.random() / 2));
  }
}
