// What changes for one patient, told at once while the connection lasts; who follows it reads the state again, and it never gives up.
import { createClient } from "graphql-ws/client";

const MINE = "subscription Mine { myAppointments { __typename } }";
const AGAIN_MS = 5_000;

/** Calls `changed` for every offer or appointment of theirs that changes, and after each doubt. Answers how to stop. */
export function followMine(token: string, changed: () => void): () => void {
  const client = createClient({
    url: `${location.origin.replace(/^http/, "ws")}/graphql`,
    connectionParams: { authorization: `Bearer ${token}` },
    retryAttempts: 0,
  });
  let stopped = false;
  let leave = () => {};
  const again = () => {
    if (!stopped) setTimeout(listen, AGAIN_MS * (0.5 + Math.random()));
  };
  const listen = () => {
    if (stopped) return;
    leave = client.subscribe<{ myAppointments: { __typename: string } }>(
      { query: MINE },
      {
        next: ({ data }) => data && data.myAppointments.__typename !== "StreamHeartbeat" && changed(),
        error: again,
        complete: again,
      },
    );
  };
  listen();
  return () => {
    stopped = true;
    leave();
    void client.dispose();
  };
}
