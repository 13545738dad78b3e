// Builds the pages into static/: `node build.mjs`, or with --check only compares what is there with what would be built.
// The same sources give the same bytes; Python reads static/ alone, so node is needed only here.
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { build, transform } from "esbuild";
import { licences } from "./licences.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const STATIC = join(HERE, "static");
const SOURCES = ["src", "build.mjs", "licences.mjs", "package-lock.json"];
const WORKERS = {
  editor: "monaco-editor/esm/vs/editor/editor.worker.js",
  graphql: "monaco-graphql/esm/graphql.worker.js",
  json: "monaco-editor/esm/vs/language/json/json.worker.js",
};
// What stands in for modules that GraphiQL imports, the reason at the top of ours; the last is one parser under two names.
const REPLACED = [
  [/^monaco-graphql\/esm\/monaco-editor\.js$/, "src/explorer/monaco.js"],
  [/\/jsonc\.js$/, "src/explorer/jsonc.js"],
  [/^prettier\/parser-graphql$/, "node_modules/prettier/plugins/graphql.mjs"],
];

const GRAPHIQL = /node_modules[\\/](@graphiql[\\/]react|monaco-graphql)[\\/]/;

const OPTIONS = {
  absWorkingDir: HERE,
  outdir: STATIC,
  entryPoints: [
    { in: "src/explorer/main.jsx", out: "explorer" },
    { in: "src/home/main.js", out: "home" },
    { in: "src/calendar/main.ts", out: "calendar" },
    { in: "src/book/main.tsx", out: "book" },
    { in: "src/find/main.tsx", out: "find" },
    { in: "src/offer/main.tsx", out: "offer" },
    { in: "src/wait/main.tsx", out: "wait" },
    { in: "src/icon.svg", out: "icon" },
    ...Object.entries(WORKERS).map(([name, path]) => ({ in: path, out: `${name}.worker` })),
  ],
  entryNames: "[name].[hash]",
  chunkNames: "chunk.[hash]",
  assetNames: "[name].[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  jsx: "automatic",
  // tsconfig.json is for the type checker alone: it names Preact, the explorer is React's.
  tsconfigRaw: "{}",
  minify: true,
  charset: "utf8",
  legalComments: "none",
  define: { "process.env.NODE_ENV": '"production"' },
  loader: { ".svg": "copy", ".ttf": "file" },
  target: ["es2022", "chrome111", "firefox115", "safari16.4"],
  logLevel: "warning",
  metafile: true,
  write: false,
};

const replacing = {
  name: "replacing",
  setup({ onResolve }) {
    for (const [filter, ours] of REPLACED) {
      onResolve({ filter }, ({ importer }) => (GRAPHIQL.test(importer) ? { path: join(HERE, ours) } : undefined));
    }
  },
};

// What several operations ask for stands in one file, and each says so: `#import "./file.graphql"`.
const fragments = {
  name: "fragments",
  setup({ onLoad }) {
    onLoad({ filter: /\.graphql$/ }, async ({ path }) => ({ contents: await operation(path), loader: "text" }));
  },
};

async function operation(path) {
  const text = await readFile(path, "utf8");
  const imported = [...text.matchAll(/^#import "(.+)"\n/gm)].map(([, name]) => readFile(join(dirname(path), name), "utf8"));
  return [text.replaceAll(/^#import ".+"\n+/gm, ""), ...(await Promise.all(imported))].join("\n");
}

// The element stands alone: what it loads comes from beside it, and is shared with no page of ours.
const WIDGET = { ...OPTIONS, entryPoints: [{ in: "src/widget/main.ts", out: "widget" }], jsxImportSource: "preact" };

// Styles of a shadow root travel inside its script, since a foreign page's policy may refuse others.
const shadowStyles = {
  name: "shadow styles",
  setup({ onLoad }) {
    onLoad({ filter: /\.shadow\.css$/ }, async ({ path }) => {
      const { code } = await transform(await readFile(path, "utf8"), { loader: "css", minify: true, target: OPTIONS.target });
      return { contents: code.trim(), loader: "text" };
    });
  },
};

function sha256(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

async function filesUnder(path) {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => null);
  if (entries === null) return [path];
  return (await Promise.all(entries.map((entry) => filesUnder(join(path, entry.name))))).flat();
}

async function sourcesHash() {
  const paths = (await Promise.all(SOURCES.map((name) => filesUnder(join(HERE, name))))).flat();
  const names = paths.map((path) => relative(HERE, path).replaceAll(sep, "/")).sort();
  const lines = [];
  for (const name of names) lines.push(`${sha256(await readFile(join(HERE, name)))}  ${name}\n`);
  return sha256(lines.join(""));
}

async function everyFile() {
  const pages = await build({ ...OPTIONS, plugins: [replacing, fragments] });
  const widget = await build({ ...WIDGET, plugins: [shadowStyles, fragments] });
  const metafile = { outputs: { ...pages.metafile.outputs, ...widget.metafile.outputs } };
  const built = new Map();
  for (const { path, contents } of [...pages.outputFiles, ...widget.outputFiles]) {
    // The explorer's own stylesheet has the editor's styles in it: those of the parts are never asked for.
    if (!/^chunk\..*\.css$/.test(basename(path))) built.set(basename(path), Buffer.from(contents));
  }
  const entries = {};
  for (const name of [...built.keys()].sort()) {
    const [, stem, extension] = /^(.+)\.[A-Z0-9]{8}\.(\w+)$/.exec(name);
    if (stem !== "chunk") entries[`${stem}.${extension}`] = name;
  }
  const hashed = [...built.keys()].sort();
  for (const page of ["home", "explorer", "calendar", "book", "find", "offer", "wait"]) {
    const template = await readFile(join(HERE, "src", page, "index.html"), "utf8");
    const html = template.replaceAll(/\{\{([\w.]+\.\w+)\}\}/g, (_all, name) => entries[name]);
    built.set(`${page}.html`, Buffer.from(html));
  }
  built.set("THIRD_PARTY_LICENSES.txt", Buffer.from(await licences(HERE, metafile)));
  const manifest = {
    sources: await sourcesHash(),
    entries,
    hashed,
    embed: widget.outputFiles.map(({ path }) => basename(path)).sort(),
    sha256: Object.fromEntries([...built.keys()].sort().map((name) => [name, sha256(built.get(name))])),
  };
  built.set("manifest.json", Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`));
  return built;
}

async function check(built) {
  const present = await readdir(STATIC).catch(() => []);
  const wrong = present.filter((name) => !built.has(name)).map((name) => `${name} is not built any more`);
  for (const [name, bytes] of built) {
    const now = await readFile(join(STATIC, name)).catch(() => null);
    if (now === null) wrong.push(`${name} is missing`);
    else if (!now.equals(bytes)) wrong.push(`${name} differs`);
  }
  for (const line of wrong) console.error(line);
  if (wrong.length > 0) console.error("static/ does not match its sources: run `make web`");
  process.exitCode = wrong.length > 0 ? 1 : 0;
}

const built = await everyFile();
if (process.argv.includes("--check")) {
  await check(built);
} else {
  await rm(STATIC, { recursive: true, force: true });
  await mkdir(STATIC, { recursive: true });
  for (const [name, bytes] of built) await writeFile(join(STATIC, name), bytes);
  const total = [...built.values()].reduce((sum, bytes) => sum + bytes.length, 0);
  console.log(`${built.size} files, ${(total / 1e6).toFixed(2)} MB in static/`);
}
