// Where the reader is, if they let the browser say so. It is asked for by their own press alone, kept in no address and no storage.
export interface Place {
  latitude: number;
  longitude: number;
}

const TIMEOUT_MS = 15_000;
const FRESH_MS = 300_000;
const TYPE = "You can type a city into the search box instead.";
const REFUSED: Record<number, string> = {
  1: `Your browser did not tell us where you are, so distances stay unknown. You can allow it in its settings for this site. ${TYPE}`,
  2: `Your device does not know where it is at the moment. ${TYPE}`,
  3: `Your device took too long to say where it is. Try again, or type a city into the search box.`,
};

export class Unlocated extends Error {}

/** Throws Unlocated with words for the reader. Two digits, about a kilometre: no more is needed to say who is near. */
export function located(): Promise<Place> {
  return new Promise((resolve, reject) => {
    if (!("geolocation" in navigator) || !isSecureContext) {
      reject(new Unlocated(`This browser can't tell us where you are here. ${TYPE}`));
      return;
    }
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => resolve({ latitude: rounded(coords.latitude), longitude: rounded(coords.longitude) }),
      ({ code }) => reject(new Unlocated(REFUSED[code] ?? REFUSED[2])),
      { timeout: TIMEOUT_MS, maximumAge: FRESH_MS },
    );
  });
}

/** Whether the browser would say it without asking: then an address that was opened again may find near ones at once. */
export async function isAllowed(): Promise<boolean> {
  try {
    return (await navigator.permissions.query({ name: "geolocation" })).state === "granted";
  } catch {
    return false;
  }
}

function rounded(degrees: number): number {
  return Math.round(degrees * 100) / 100;
}
