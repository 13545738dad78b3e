// How GraphiQL reaches the API: HTTP for queries and mutations, graphql-transport-ws for subscriptions.
import { createClient } from "graphql-ws";
import { GRAPHQL_URL } from "./places.js";
import { currentToken } from "./token.js";

function isSubscription(documentAST, operationName) {
  const operations = documentAST?.definitions.filter((node) => node.kind === "OperationDefinition") ?? [];
  const chosen = operations.find((node) => node.name?.value === operationName) ?? operations[0];
  return chosen?.operation === "subscription";
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

// One socket per subscription: it carries the token of the moment it was opened and closes with it.
async function* listen(params) {
  const token = currentToken();
  const client = createClient({
    url: GRAPHQL_URL.replace(/^http/, "ws"),
    connectionParams: token ? { authorization: `Bearer ${token}` } : {},
    lazy: true,
  });
  try {
    yield* client.iterate(params);
  } finally {
    await client.dispose();
  }
}

export function createFetcher(onResult) {
  return async function fetcher({ query, variables, operationName }, { headers, documentAST } = {}) {
    const params = { query, variables, operationName: operationName ?? undefined };
    if (isSubscription(documentAST, operationName)) return listen(params);
    const result = await post(params, headers);
    onResult(result);
    return result;
  };
}
