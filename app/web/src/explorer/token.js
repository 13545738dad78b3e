// The bearer token: in this page's memory only, never in storage, never in an address.
let token = "";
const listeners = new Set();

export function currentToken() {
  return token;
}

export function setToken(next) {
  token = next.trim().replace(/^bearer\s+/i, "");
  for (const listener of listeners) listener();
}

export function onToken(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** What the token says of itself, unverified: only to show whom the page speaks for. Null where it is no JWT. */
export function claims(text) {
  try {
    const payload = text.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
    const read = JSON.parse(new TextDecoder().decode(bytes));
    return { role: String(read.role ?? "unknown role"), until: read.exp ? new Date(read.exp * 1000) : null };
  } catch {
    return null;
  }
}
