// Arrow keys: to the nearest time in that direction as it lies on the screen, so they work in columns, lists and from right to left.
const DIRECTIONS: Record<string, [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

function centre(element: Element): [number, number] {
  const { left, top, width, height } = element.getBoundingClientRect();
  return [left + width / 2, top + height / 2];
}

function nearest(from: HTMLElement, all: HTMLElement[], [dx, dy]: [number, number]): HTMLElement | null {
  const [x, y] = centre(from);
  let [best, least]: [HTMLElement | null, number] = [null, Number.POSITIVE_INFINITY];
  for (const other of all) {
    const [ox, oy] = centre(other);
    const ahead = (ox - x) * dx + (oy - y) * dy;
    const aside = Math.abs((ox - x) * dy) + Math.abs((oy - y) * dx);
    // What lies straight ahead comes before what is nearer but aside.
    const distance = ahead + 3 * aside;
    if (other !== from && ahead > 1 && distance < least) [best, least] = [other, distance];
  }
  return best;
}

export function neighbour(event: KeyboardEvent): void {
  const from = event.currentTarget as HTMLElement;
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const within = (selector: string) => [...(from.closest(selector)?.querySelectorAll<HTMLElement>("[data-slot-id]") ?? [])];
  const direction = DIRECTIONS[event.key];
  let to: HTMLElement | null | undefined = null;
  if (direction) to = nearest(from, within(".days"), direction);
  else if (event.key === "Home") to = within(".day")[0];
  else if (event.key === "End") to = within(".day").at(-1);
  else return;
  event.preventDefault();
  to?.focus();
}
