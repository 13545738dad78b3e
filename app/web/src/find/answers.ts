// What a search answers, as far as the page shows it.
export interface Address {
  lines: readonly string[];
  city: string;
  region: string | null;
  postalCode: string | null;
}
export interface Hit {
  distanceKm: number | null;
  matched: readonly string[];
  provider: { id: string; name: string; specialties: readonly string[]; languages: readonly string[]; acceptingNewPatients: boolean };
  clinic: { id: string; name: string; phone: string | null; timeZone: string; address: Address };
  nextSlot: Next | null;
}
export interface Next {
  id: string;
  startsAt: string;
  localDate: string;
  visitType: { id: string; name: string; durationMinutes: number | null };
}
export type FacetField = "SPECIALTY" | "LANGUAGE" | "CLINIC" | "MODALITY";
export interface Value {
  value: string;
  count: number;
}
export interface Found {
  totalCount: number;
  degraded: boolean;
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
  facets: readonly { field: FacetField; values: readonly Value[] }[];
  edges: readonly { node: Hit }[];
}
export interface Named {
  id: string;
  name: string;
  address: { city: string; region: string | null };
}
export type Suggestion =
  | { __typename: "SpecialtySuggestion"; name: string; synonym: string | null }
  | { __typename: "Provider"; id: string; name: string; specialties: readonly string[] }
  | ({ __typename: "Clinic" } & Named);

export function keyOf({ provider, clinic }: Hit): string {
  return `${provider.id} ${clinic.id}`;
}

export function plural(count: number, one: string, many: string): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}
