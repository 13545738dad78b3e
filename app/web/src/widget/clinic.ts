// What a calendar asks once: names, phone, zone, and the first date with an open time.
import { Refused, ask } from "../graphql";
import { addDays } from "../times";
import clinicQuery from "./clinic.graphql";
import laterOfProvider from "./later-of-provider.graphql";
import laterQuery from "./later.graphql";
import namesQuery from "./names.graphql";
import providerQuery from "./provider.graphql";

export interface Subject {
  clinic: string;
  visitType: string;
  provider: string | null;
}

export interface Facts {
  clinic: string;
  phone: string | null;
  timeZone: string;
  visitType: string;
  minutes: number | null;
  bookableDaysAhead: number;
  provider: string | null;
  people: Map<string, Person>;
  first: string | null;
}

/** A provider, as far as a list of times says who it is. */
export interface Person {
  name: string;
  acceptingNewPatients: boolean;
}

interface Edges<Node> {
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
  edges: { node: Node }[];
}
interface Named extends Person {
  id: string;
  nextSlot: { localDate: string } | null;
}
interface Answered {
  clinic: { name?: string; phone: string | null; timeZone: string; providers?: Edges<Named> } | null;
  visitType: { name?: string; durationMinutes: number | null; bookableDaysAhead: number } | null;
  provider?: Partial<Named> | null;
}
type Open = { slots: { localDate: string }[] | null };

const WINDOW_DAYS = 31;
const WINDOWS = 6;

function earliest(dates: (string | undefined)[]): string | null {
  return dates.filter((date) => date !== undefined).sort()[0] ?? null;
}

export async function factsOf(endpoint: string, subject: Subject, signal: AbortSignal): Promise<Facts> {
  const { clinic, visitType, provider } = await ask<Answered>(
    endpoint,
    subject.provider ? providerQuery : clinicQuery,
    subject.provider ? subject : { clinic: subject.clinic, visitType: subject.visitType },
    { signal },
  );
  if (!clinic?.name) throw new Refused("There is no such clinic.", "BAD_USER_INPUT");
  if (!visitType?.name) throw new Refused("There is no such kind of visit.", "BAD_USER_INPUT");
  if (subject.provider && !provider?.name) throw new Refused("There is no such provider.", "BAD_USER_INPUT");
  const named = provider ? [provider as Named] : await everyProvider(endpoint, subject, clinic.providers, signal);
  return {
    clinic: clinic.name,
    phone: clinic.phone,
    timeZone: clinic.timeZone,
    visitType: visitType.name,
    minutes: visitType.durationMinutes,
    bookableDaysAhead: visitType.bookableDaysAhead,
    provider: provider?.name ?? null,
    people: new Map(named.map((one) => [one.id, one])),
    first: earliest(named.map(({ nextSlot }) => nextSlot?.localDate)),
  };
}

async function everyProvider(endpoint: string, { clinic, visitType }: Subject, first: Edges<Named> | undefined, signal: AbortSignal) {
  const found = first?.edges.map(({ node }) => node) ?? [];
  let page = first?.pageInfo;
  while (page?.hasNextPage) {
    const variables = { clinic, visitType, after: page.endCursor };
    const next = (await ask<Answered>(endpoint, clinicQuery, variables, { signal })).clinic?.providers;
    found.push(...(next?.edges.map(({ node }) => node) ?? []));
    page = next?.pageInfo;
  }
  return found;
}

export async function peopleOf(endpoint: string, ids: string[], signal: AbortSignal): Promise<[string, Person][]> {
  const variables = { ids: ids.slice(0, 100) };
  const { nodes } = await ask<{ nodes: (Partial<Named> | null)[] }>(endpoint, namesQuery, variables, { signal });
  return nodes.flatMap((node) => (node?.id ? [[node.id, node as Named] as [string, Person]] : []));
}

/** The first date from `from` to `limit` with an open time, looked for at most half a year on. */
export async function laterDate(endpoint: string, subject: Subject, from: string, limit: string, signal: AbortSignal) {
  for (let window = 0; window < WINDOWS && from <= limit; window += 1) {
    const to = addDays(from, WINDOW_DAYS - 1);
    const found = await openBetween(endpoint, subject, from, to, signal);
    if (found) return found;
    from = addDays(to, 1);
  }
  return null;
}

async function openBetween(endpoint: string, subject: Subject, from: string, to: string, signal: AbortSignal) {
  const { clinic, visitType } = subject;
  if (subject.provider) {
    const { provider } = await ask<{ provider: Open | null }>(endpoint, laterOfProvider, { ...subject, from, to }, { signal });
    return provider?.slots?.[0]?.localDate ?? null;
  }
  const dates: (string | undefined)[] = [];
  let after: string | null = null;
  do {
    type Page = { clinic: { providers: Edges<Open> } | null };
    const data: Page = await ask<Page>(endpoint, laterQuery, { clinic, visitType, from, to, after }, { signal });
    dates.push(...(data.clinic?.providers.edges.map(({ node }) => node.slots?.[0]?.localDate) ?? []));
    const page: Edges<Open>["pageInfo"] | undefined = data.clinic?.providers.pageInfo;
    after = page?.hasNextPage ? page.endCursor : null;
  } while (after);
  return earliest(dates);
}
