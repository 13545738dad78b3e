// One question over HTTP. No cookies are ever sent: who asks stands in the token or nowhere.
export class Refused extends Error {
  constructor(
    message: string,
    readonly code: string,
  ) {
    super(message);
  }
}

export interface Answer<T> {
  data?: T | null;
  errors?: readonly { message: string; extensions?: { code?: string } }[];
}

interface Options {
  token?: string | null;
  signal?: AbortSignal;
  keepalive?: boolean;
}

/** The data of a complete answer. Throws Refused for what the server says no to, other errors where nothing came back. */
export async function ask<T>(endpoint: string, query: string, variables: object, options: Options = {}): Promise<T> {
  const response = await fetch(endpoint, {
    method: "POST",
    credentials: "omit",
    headers: {
      accept: "application/graphql-response+json, application/json;q=0.9",
      "content-type": "application/json",
      ...(options.token && { authorization: `Bearer ${options.token}` }),
    },
    body: JSON.stringify({ query, variables }),
    signal: options.signal ?? null,
    keepalive: options.keepalive ?? false,
  });
  return complete((await response.json()) as Answer<T>);
}

export function complete<T>({ data, errors }: Answer<T>): T {
  const [first] = errors ?? [];
  if (first) throw new Refused(first.message, first.extensions?.code ?? "INTERNAL");
  if (!data) throw new Error("The answer is empty.");
  return data;
}
