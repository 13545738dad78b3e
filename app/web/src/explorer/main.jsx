import "./workers.js";
import { explorerPlugin } from "@graphiql/plugin-explorer";
import { useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { GraphiQL } from "graphiql";
import { buildSchema } from "graphql";
import { useEffect, useState, useSyncExternalStore } from "react";
import { createRoot } from "react-dom/client";
// Not exported by the package, but the one place where the editors' colours stand.
import { MONACO_THEME_DATA } from "../../node_modules/@graphiql/react/dist/constants.js";
import { currentValues, exampleTabs, learnFrom, onValues, refilled, startWith } from "./examples.js";
import { createFetcher } from "./fetcher.js";
import { EXAMPLES_URL, SCHEMA_URL } from "./places.js";
import { storage } from "./storage.js";
import { currentToken, onToken } from "./token.js";
import { TokenBar } from "./token-bar.jsx";
import "./styles.js";

const MONOSPACE = 'ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace';
// Comments carry the examples' instructions: the dark theme's own green is too dim to read.
MONACO_THEME_DATA.dark.rules.push({ token: "comment", foreground: "#93bd80" });
const LOOKS = { fontFamily: MONOSPACE, fontSize: 14, wordWrap: "on", wrappingIndent: "indent" };
const PLUGINS = [explorerPlugin({ showAttribution: false })];
const FETCHER = createFetcher(learnFrom);
const EDITORS = ["queryEditor", "variableEditor", "headerEditor", "responseEditor"];

/** Brings what has been learned into the tab that is looked at. */
function Refill() {
  const { tabs, activeTabIndex, variableEditor } = useGraphiQL(({ tabs, activeTabIndex, variableEditor }) => ({
    tabs,
    activeTabIndex,
    variableEditor,
  }));
  const values = useSyncExternalStore(onValues, currentValues);
  const { query, variables } = tabs[activeTabIndex];
  useEffect(() => {
    if (!variableEditor) return;
    // GraphiQL leaves the first tab's variables out of their editor when it starts.
    const before = variableEditor.getValue();
    const after = refilled(query, before || variables || "");
    if (after !== before) variableEditor.setValue(after);
  }, [activeTabIndex, variableEditor, values]);
  return null;
}

/** The editors know no font stack of their own, and long lines are easier to read wrapped. */
function EditorLooks() {
  const editors = useGraphiQL((state) => Object.fromEntries(EDITORS.map((name) => [name, state[name]])));
  useEffect(() => {
    for (const editor of Object.values(editors)) editor?.updateOptions(LOOKS);
  }, [editors]);
  return null;
}

/** Introspection may need a token: where the schema is still missing, a new token is reason to ask again. */
function Schema() {
  const missing = useGraphiQL((state) => !state.schema);
  const { introspect } = useGraphiQLActions();
  const token = useSyncExternalStore(onToken, currentToken);
  const [first] = useState(token);
  useEffect(() => {
    if (missing && token !== first) introspect();
  }, [token]);
  return null;
}

function Page({ schema, tokens }) {
  return (
    <>
      <TokenBar tokens={tokens} />
      <main>
        <GraphiQL
          fetcher={FETCHER}
          schema={schema}
          plugins={PLUGINS}
          defaultTabs={exampleTabs()}
          defaultEditorToolsVisibility="variables"
          shouldPersistHeaders={false}
          storage={storage}
        >
          <GraphiQL.Logo>
            <span />
          </GraphiQL.Logo>
          <Refill />
          <EditorLooks />
          <Schema />
        </GraphiQL>
      </main>
    </>
  );
}

// The printed schema is public, so the documentation works for everybody; without it GraphiQL introspects.
async function readSchema() {
  try {
    const response = await fetch(SCHEMA_URL, { credentials: "omit" });
    return response.ok ? buildSchema(await response.text()) : undefined;
  } catch {
    return undefined;
  }
}

// Ids and tokens of the demo; only a development server has them.
async function readExamples() {
  if (document.documentElement.dataset.mode !== "development") return {};
  try {
    const response = await fetch(EXAMPLES_URL, { credentials: "omit", signal: AbortSignal.timeout(5000) });
    return response.ok ? await response.json() : {};
  } catch {
    return {};
  }
}

const [schema, { tokens, ...known }] = await Promise.all([readSchema(), readExamples()]);
startWith(known);
createRoot(document.getElementById("explorer")).render(<Page schema={schema} tokens={tokens ?? {}} />);
