// How what is searched is called on the page.
import type { Address, Named } from "./answers";

const NAMES = new Intl.DisplayNames("en", { type: "language" });

// Browsers know few sign languages by name.
const SIGNED: Readonly<Record<string, string>> = { ase: "American Sign Language", bfi: "British Sign Language", sgn: "Sign language" };

export function languageName(code: string): string {
  const signed = SIGNED[code];
  if (signed) return signed;
  try {
    return NAMES.of(code) ?? code;
  } catch {
    return code;
  }
}

export function placeName({ name, address }: Named): string {
  return [name, address.city].filter((part, index) => part && (index === 0 || !name.includes(part))).join(", ");
}

export function inOneLine({ lines, city, region, postalCode }: Address): string {
  return [...lines, city, [region, postalCode].filter(Boolean).join(" ")].filter(Boolean).join(", ");
}

export function distance(km: number): string {
  if (km < 1) return "less than 1 km away";
  return `${km.toLocaleString("en", { maximumFractionDigits: km < 10 ? 1 : 0 })} km away`;
}

export function initialOf(name: string): string {
  return [...name.trim()][0]?.toUpperCase() ?? "";
}
