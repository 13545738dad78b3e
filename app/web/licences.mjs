// The licences of what is in the bundles, by package, for THIRD_PARTY_LICENSES.txt.
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";

const INTRODUCTION = `The files in this directory contain parts of the packages below, each under its own licence.
`;

// Packages whose published archive has no licence file: the copyright line of their repository, and MIT as they declare.
const MIT = await readFile(new URL("src/licences/mit.txt", import.meta.url), "utf8");

function packagesIn({ outputs }) {
  const folders = new Set();
  for (const { inputs } of Object.values(outputs)) {
    for (const path of Object.keys(inputs)) {
      const folder = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0];
      if (folder) folders.add(folder);
    }
  }
  return [...folders].sort();
}

function authorOf({ name, author, contributors }) {
  const people = [author, ...(contributors ?? [])].filter(Boolean);
  const names = people.map((person) => (typeof person === "string" ? person : person.name).replace(/\s*[<(].*$/, ""));
  return names.length > 0 ? names.join(", ") : `the authors of ${name}`;
}

async function textsOf(folder, about) {
  const wanted = /^(licen[cs]e|notice|thirdpartynotices)/i;
  const names = (await readdir(folder)).filter((name) => wanted.test(name)).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), "utf8")));
  if (texts.length > 0) return texts.map((text) => text.trim());
  if (about.license !== "MIT") throw new Error(`${about.name}: ${about.license} without a licence text`);
  return [MIT.replace("{{holder}}", authorOf(about)).trim()];
}

export async function licences(root, metafile) {
  const sections = new Map();
  for (const folder of packagesIn(metafile)) {
    const about = JSON.parse(await readFile(join(root, folder, "package.json"), "utf8"));
    const heading = `${about.name} ${about.version} (${about.license})`;
    sections.set(heading, await textsOf(join(root, folder), about));
  }
  // The same text under many names is written once.
  const byText = new Map();
  for (const heading of [...sections.keys()].sort()) {
    const text = sections.get(heading).join("\n\n").replaceAll(/\r\n?/g, "\n").replaceAll(/[ \t]+$/gm, "");
    byText.set(text, [...(byText.get(text) ?? []), heading]);
  }
  const parts = [...byText].map(([text, headings]) => `${headings.join("\n")}\n\n${text}\n`);
  const rule = `\n${"-".repeat(80)}\n\n`;
  return [INTRODUCTION, ...parts].join(rule);
}
