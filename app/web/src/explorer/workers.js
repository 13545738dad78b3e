// The editors' three workers; the build writes their hashed addresses into the page.
const { dataset } = document.getElementById("explorer");
const ADDRESSES = { json: dataset.jsonWorker, graphql: dataset.graphqlWorker };

globalThis.MonacoEnvironment = {
  getWorker: (_id, label) => new Worker(ADDRESSES[label] ?? dataset.editorWorker, { type: "module" }),
};
