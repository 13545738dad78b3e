// The second way: server-sent events. Loaded only where a WebSocket can't be opened; of its package the client alone.
import { createClient } from "graphql-sse";

export function eventClient(url: string) {
  return createClient({ url, credentials: "omit", retryAttempts: 0 });
}
