// Series and instant vectors: what an evaluation reads and what it gives.

export type Labels = Readonly<Record<string, string>>;

/** A series of samples, oldest first; times in ms epoch. `times` and `values` have the same length. */
export interface Series {
  labels: Labels;
  times: readonly number[];
  values: readonly number[];
  /** Its newest sample is of the newest scrape: it still exists. Only then an instant selector sees it. */
  live: boolean;
}

/** One element of an instant vector. `at` is the sample's own time, ms epoch. */
export interface Element {
  metric?: string;
  labels: Labels;
  value: number;
  at: number;
}

/** A key that two label sets share only if they are equal. */
export function labelKey(labels: Labels): string {
  return JSON.stringify(
    Object.keys(labels)
      .sort()
      .map((name) => [name, labels[name]]),
  );
}
