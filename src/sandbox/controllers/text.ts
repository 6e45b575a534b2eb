// Small deterministic text helpers: canonical JSON, a hash for names, and Kubernetes' quantities and percentages.
import { createHash } from "node:crypto";

// Kubernetes' alphabet for generated names: no vowels, so that no word comes out.
const SAFE = "bcdfghjklmnpqrstvwxz2456789";

/** JSON with sorted keys; members that are undefined are left out. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner) =>
    inner && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : inner,
  );
}

export function same(a: unknown, b: unknown): boolean {
  return canonical(a) === canonical(b);
}

/** `length` characters that depend on `text` alone. */
export function safeHash(text: string, length: number): string {
  const digest = createHash("sha256").update(text).digest();
  let result = "";
  for (let i = 0; i < length; i++) result += SAFE[(digest[i] ?? 0) % SAFE.length];
  return result;
}

const SUFFIXES: Record<string, number> = {
  "": 1,
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** A quantity such as "64Mi", "250m" or 2 in its base unit; undefined where it is none. */
export function quantity(value: string | number | undefined): number | undefined {
  if (typeof value === "number") return value;
  const match = /^([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([numkMGTPE]|[KMGTPE]i)?$/.exec(value ?? "");
  const factor = SUFFIXES[match?.[2] ?? ""];
  const number = Number(match?.[1]);
  return match && factor !== undefined && Number.isFinite(number) ? number * factor : undefined;
}

/** An int or a percentage of `total`: a surge rounds up, what may be unavailable rounds down. */
export function intOrPercent(value: number | string, total: number, round: "up" | "down"): number {
  if (typeof value === "number") return value;
  const percent = Number(value.replace(/%$/, ""));
  const exact = (percent * total) / 100;
  return round === "up" ? Math.ceil(exact) : Math.floor(exact);
}
