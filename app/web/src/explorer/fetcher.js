// How GraphiQL reaches the API: HTTP for queries and mutations, graphql-transport-ws for subscriptions.
import { parse } from "graphql";
import { createClient } from "graphql-ws";
import { GRAPHQL_URL } from "./places.js";
import { currentToken } from "./token.js";

// GraphiQL names the chosen operation a moment late after a change of tab; where there is only one, that is meant.
function chosenOperation(query, operationName) {
  let operations;
  try {
    operations = parse(query).definitions.filter(({ kind }) => kind === "OperationDefinition");
  } catch {
    return null; // the server says what is wrong with it
  }
  const named = operations.find(({ name }) => name && name.value === operationName);
  return named ?? (operations.length === 1 ? operations[0] : null);
}

async function post(params, headers) {
  const token = currentToken();
  const response = await fetch(GRAPHQL_URL, {
    method: "POST",
    credentials: "omit",
    headers: {
      accept: "application/graphql-response+json, application/json;q=0.9",
      "content-type": "application/json",
      ...(token && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: JSON.stringify(params),
  });
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`HTTP ${response.status}: ${text.slice(0, 500)}`);
  }
}

// One socket per subscription: it carries the token of the moment it is opened, and after a restart of the server it comes back.
// Not a generator: one that waits for a frame hears of "stop" only when the next has come.
function listening(params) {
  function subscribe(observer) {
    const client = createClient({
      url: GRAPHQL_URL.replace(/^http/, "ws"),
      connectionParams() {
        const token = currentToken();
        return token ? { authorization: `Bearer ${token}` } : {};
      },
      shouldRetry: () => true,
    });
    client.subscribe(params, observer);
    return { unsubscribe: () => client.dispose() };
  }
  return { subscribe };
}

export function createFetcher(onResult) {
  return async function fetcher({ query, variables, operationName }, { headers } = {}) {
    const operation = chosenOperation(query, operationName);
    const params = { query, variables, operationName: operation?.name?.value ?? operationName ?? undefined };
    if (operation?.operation === "subscription") return listening(params);
    const result = await post(params, headers);
    onResult(result);
    return result;
  };
}
