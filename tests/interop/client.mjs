// Subscribes with a reference client, resumes by cursor, and prints what it hears as JSON lines.
import { createClient as createEvents } from 'graphql-sse';
import { createClient as createSocket } from 'graphql-ws';
import WebSocket from 'ws';

const { kind, url, query, variables, tokens } = JSON.parse(process.argv[2]);
let turn = 0;
const say = (what) => console.log(JSON.stringify(what));
const soon = () => new Promise((resolve) => setTimeout(resolve, 100));

function authorization() {
  const token = tokens[Math.min(turn++, tokens.length - 1)];
  return token ? { authorization: `Bearer ${token}` } : {};
}

const client =
  kind === 'socket'
    ? createSocket({
        url: url.replace('http', 'ws'),
        webSocketImpl: WebSocket,
        connectionParams: authorization,
        retryAttempts: 30,
        retryWait: soon,
        shouldRetry: () => true, // also where nobody listens for a moment
        on: { closed: ({ code }) => say({ closed: code }) },
      })
    : createEvents({ url, headers: authorization, retryAttempts: 30, retry: soon });

const request = { query, variables };
client.subscribe(request, {
  next(result) {
    say({ next: result });
    const frame = result.data && Object.values(result.data)[0];
    if (frame?.cursor) request.variables.after = frame.cursor;
  },
  error: (error) => say({ error: error.message ?? error }),
  complete: () => say({ complete: true }),
});
