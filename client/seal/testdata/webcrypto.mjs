// An implementation of protocol/SPEC.md, "Keys and sealing", on WebCrypto
// alone, written from the norm and sharing nothing with the Go code. It reads
// {"questions": […]} from standard input and writes {"answers": […]}, in the
// same order. Bytes travel as base64.

const subtle = globalThis.crypto.subtle;

const PART = 256 * 1024;
const TAG = 16;
const COMMITMENT = 32;
const PAYLOAD = 1024;
const ED25519_PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");

class Refused extends Error {}

async function hkdf(secret, salt, label) {
  const key = await subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  const info = new TextEncoder().encode("cairn/v1/" + label);
  return new Uint8Array(await subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt, info }, key, 256));
}

const none = new Uint8Array(0);

async function publicOf(seed) {
  const der = Buffer.concat([ED25519_PKCS8, seed]);
  const key = await subtle.importKey("pkcs8", der, { name: "Ed25519" }, true, ["sign"]);
  return Buffer.from((await subtle.exportKey("jwk", key)).x, "base64url");
}

function nonceOf(index, last) {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(3, BigInt(index));
  nonce[11] = last ? 1 : 0;
  return nonce;
}

async function cipherOf(key, use) {
  return subtle.importKey("raw", await hkdf(key, none, "cipher"), "AES-GCM", false, [use]);
}

async function seal(key, plain) {
  const cipher = await cipherOf(key, "encrypt");
  const out = [await hkdf(key, none, "commitment")];
  const parts = Math.ceil(plain.length / PART);
  for (let i = 0; i < parts; i++) {
    const iv = nonceOf(i, i === parts - 1);
    const part = plain.subarray(i * PART, (i + 1) * PART);
    out.push(new Uint8Array(await subtle.encrypt({ name: "AES-GCM", iv, tagLength: TAG * 8 }, cipher, part)));
  }
  return Buffer.concat(out);
}

async function open(key, sealed) {
  const commitment = await hkdf(key, none, "commitment");
  if (sealed.length < COMMITMENT || !sealed.subarray(0, COMMITMENT).equals(commitment)) throw new Refused();
  const cipher = await cipherOf(key, "decrypt");
  const parts = Math.ceil((sealed.length - COMMITMENT) / (PART + TAG));
  if (parts === 0) throw new Refused();
  const out = [];
  for (let i = 0; i < parts; i++) {
    const at = COMMITMENT + i * (PART + TAG);
    const part = sealed.subarray(at, at + PART + TAG);
    if (part.length <= TAG) throw new Refused();
    const iv = nonceOf(i, i === parts - 1);
    try {
      out.push(new Uint8Array(await subtle.decrypt({ name: "AES-GCM", iv, tagLength: TAG * 8 }, cipher, part)));
    } catch {
      throw new Refused();
    }
  }
  return Buffer.concat(out);
}

async function derive(q) {
  const generation = new Uint8Array(4);
  new DataView(generation.buffer).setUint32(0, q.generation);
  const bundle = await hkdf(q.master, generation, "bundle");
  const groupRoot = await hkdf(bundle, none, "group-root");
  const recovery = await publicOf(await hkdf(q.master, none, "recovery"));
  return {
    "recovery-public": recovery,
    "recovery-commitment": Buffer.from(await subtle.digest("SHA-256", recovery)),
    "drive-read": await hkdf(bundle, none, "drive-read"),
    "head": await hkdf(bundle, none, "head"),
    "group-root": groupRoot,
    "owner-public": await publicOf(await hkdf(groupRoot, q.nonce, "owner")),
    "renew-public": await publicOf(await hkdf(groupRoot, q.nonce, "renew")),
    "read-public": await publicOf(await hkdf(q.secret, none, "read")),
    "pointer-public": await publicOf(await hkdf(q.secret, none, "pointer")),
    "payload": await hkdf(q.secret, q.salt, "payload"),
    "commitment": await hkdf(q.secret, none, "commitment"),
    "cipher": await hkdf(q.secret, none, "cipher"),
  };
}

const verbs = {
  derive,
  seal: async (q) => ({ sealed: await seal(q.key, q.plain) }),
  open: async (q) => ({ plain: await open(q.key, q.sealed) }),
  sealPayload: async (q) => {
    const salt = globalThis.crypto.getRandomValues(new Uint8Array(32));
    return { salt, sealed: await seal(await hkdf(q.read, salt, "payload"), q.plain) };
  },
  openPayload: async (q) => {
    const plain = await open(await hkdf(q.read, q.salt, "payload"), q.sealed);
    if (plain.length !== PAYLOAD) throw new Refused();
    return { plain };
  },
};

async function answer(question) {
  const q = { ...question };
  for (const [name, value] of Object.entries(q)) {
    if (typeof value === "string" && name !== "verb") q[name] = Buffer.from(value, "base64");
  }
  try {
    const fields = Object.entries(await verbs[q.verb](q));
    return Object.fromEntries(fields.map(([name, b]) => [name, Buffer.from(b).toString("base64")]));
  } catch (err) {
    if (err instanceof Refused) return { refused: "" };
    throw err;
  }
}

const input = [];
for await (const bytes of process.stdin) input.push(bytes);
const { questions } = JSON.parse(Buffer.concat(input).toString());
const answers = [];
for (const question of questions) answers.push(await answer(question));
process.stdout.write(JSON.stringify({ answers }));
