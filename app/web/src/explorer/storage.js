// What GraphiQL keeps. Layout and theme outlive the window; tabs may hold a patient's name in a variable, so
// they last as long as this window's session. Headers are not kept at all.
const LASTING = new Set(["graphiql:theme", "graphiql:docExplorerFlex", "graphiql:editorFlex"]);

function storeOf(key) {
  return LASTING.has(key) ? localStorage : sessionStorage;
}

export const storage = {
  getItem: (key) => storeOf(key).getItem(key),
  setItem: (key, value) => storeOf(key).setItem(key, value),
  removeItem: (key) => storeOf(key).removeItem(key),
  clear() {
    sessionStorage.clear();
    for (const key of LASTING) localStorage.removeItem(key);
  },
  get length() {
    return sessionStorage.length + localStorage.length;
  },
};
