// What a fetch says while it works: one JSON line at a time, which people, logs and the operator read alike.

export interface Progress {
  bytes: number;
  /** All bytes, where the version or the source says how many. */
  totalBytes?: number;
  elapsedMs: number;
}

/** One line of the init container's log. */
export function progressLine(version: string, { bytes, totalBytes, elapsedMs }: Progress): string {
  const share = totalBytes ? { percent: Math.floor((100 * bytes) / totalBytes) } : {};
  return JSON.stringify({
    msg: "fetching",
    version,
    bytes,
    ...(totalBytes === undefined ? {} : { totalBytes }),
    ...share,
    elapsedMs,
  });
}

/** The progress that a line of the log tells, or undefined for any other line. */
export function parseProgress(line: string): Progress | undefined {
  try {
    const read: unknown = JSON.parse(line);
    if (typeof read !== "object" || read === null) return undefined;
    const { msg, bytes, totalBytes, elapsedMs } = read as Record<string, unknown>;
    if (msg !== "fetching" || typeof bytes !== "number" || typeof elapsedMs !== "number") return undefined;
    return { bytes, elapsedMs, ...(typeof totalBytes === "number" ? { totalBytes } : {}) };
  } catch {
    return undefined;
  }
}
