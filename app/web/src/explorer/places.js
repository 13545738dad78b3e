// Addresses of our own server; the page talks to nothing else.
export const GRAPHQL_URL = new URL("/graphql", location.href).href;
export const SCHEMA_URL = "/schema.graphql";
export const EXAMPLES_URL = "/dev/examples.json";
