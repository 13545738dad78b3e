import { useRef, useState, useSyncExternalStore } from "react";
import { claims, currentToken, onToken, setToken } from "./token.js";

const ROLES = [
  ["patient", "Patient"],
  ["staff", "Staff"],
  ["admin", "Admin"],
];

function saying(token) {
  if (!token) return "No token: public fields only.";
  const said = claims(token);
  if (!said) return "This does not look like a token.";
  const until = said.until?.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  return `Sent with every request: ${said.role}${until ? `, until ${until}` : ""}.`;
}

export function TokenBar({ tokens }) {
  const token = useSyncExternalStore(onToken, currentToken);
  const [hint, setHint] = useState("");
  const box = useRef(null);
  const offered = ROLES.filter(([role]) => tokens[role]);
  const role = token === "" ? "" : (offered.find(([name]) => tokens[name] === token)?.[0] ?? "other");

  function change(next) {
    setHint("");
    setToken(next);
  }

  async function paste() {
    try {
      change(await navigator.clipboard.readText());
    } catch {
      setHint("Your browser does not let the page read the clipboard: paste into the box.");
      box.current.focus();
    }
  }

  return (
    <header className="token-bar">
      <h1 className="token-bar-home">
        <a href="/">Appointments</a>
      </h1>
      <form className="token-bar-form" aria-label="Token" onSubmit={(event) => event.preventDefault()}>
        {offered.length > 0 && (
          <label>
            Act as
            <select value={role} onChange={(event) => change(tokens[event.target.value] ?? "")}>
              <option value="">Anonymous</option>
              {offered.map(([name, label]) => (
                <option key={name} value={name}>
                  {label}
                </option>
              ))}
              {role === "other" && <option value="other">Pasted token</option>}
            </select>
          </label>
        )}
        <label>
          Bearer token
          <input
            ref={box}
            type="password"
            value={token}
            onChange={(event) => change(event.target.value)}
            placeholder="none"
            autoComplete="off"
            spellCheck="false"
          />
        </label>
        <button type="button" onClick={paste}>
          Paste
        </button>
        <button type="button" onClick={() => change("")} disabled={!token}>
          Clear
        </button>
      </form>
      <p className="token-bar-status" role="status">
        {hint || saying(token)}
      </p>
    </header>
  );
}
