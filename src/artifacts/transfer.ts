// One file from its source into a new file on the disk: bytes stream through the digest, the size is watched as they come,
// and the file is forced to the disk. What fails leaves nothing.
import { open, rm } from "node:fs/promises";
import { digester } from "./digest.ts";
import { ArtifactError, localError, sourceError } from "./errors.ts";
import type { Opened } from "./schemes/scheme.ts";

export interface Expected {
  digest: string;
  sizeBytes?: number;
  /** What is left for it where only the whole artifact's size is known. */
  maxBytes?: number;
}

/**
 * Resolves with the number of bytes when the file is complete, verified and on the disk. `what` names it in errors.
 * Rejects with ArtifactError; the file is gone then.
 */
export async function transfer(
  source: Opened,
  target: string,
  expected: Expected,
  what: string,
  limits: { signal: AbortSignal; onBytes: (count: number) => void },
): Promise<number> {
  try {
    checkAnnounced(source, expected, what);
    return await receive(source, target, expected, what, limits);
  } catch (error) {
    await rm(target, { force: true }).catch(() => {});
    throw error;
  } finally {
    await source.close().catch(() => {});
  }
}

function checkAnnounced({ length }: Opened, { sizeBytes }: Expected, what: string): void {
  if (sizeBytes === undefined || length === undefined || length === sizeBytes) return;
  throw new ArtifactError("SizeMismatch", `${what} has ${length} bytes at its source, expected ${sizeBytes}`);
}

async function receive(
  source: Opened,
  target: string,
  expected: Expected,
  what: string,
  { signal, onBytes }: { signal: AbortSignal; onBytes: (count: number) => void },
): Promise<number> {
  const doing = `writing ${what}`;
  const file = await open(target, "wx", 0o644).catch((error: unknown) => {
    throw localError(error, doing);
  });
  const hash = digester();
  const limit = expected.sizeBytes ?? expected.maxBytes ?? Number.POSITIVE_INFINITY;
  let size = 0;
  try {
    for await (const bytes of pieces(source, what, signal)) {
      size += bytes.length;
      if (size > limit) throw new ArtifactError("SizeMismatch", `${what} is longer than the expected ${limit} bytes`);
      hash.update(bytes);
      await file.appendFile(bytes).catch((error: unknown) => {
        throw localError(error, doing);
      });
      onBytes(bytes.length);
    }
    checkReceived(source, size, hash.digest(), expected, what);
    await file.sync().catch((error: unknown) => {
      throw localError(error, doing);
    });
  } finally {
    await file.close().catch(() => {});
  }
  return size;
}

/** The body's own errors become ArtifactUnavailable, those of the disk don't pass through here. */
async function* pieces(source: Opened, what: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    for await (const bytes of source.body) {
      signal.throwIfAborted();
      yield bytes;
    }
  } catch (error) {
    signal.throwIfAborted();
    throw sourceError(error, `${what} broke off`);
  }
}

function checkReceived(source: Opened, size: number, digest: string, expected: Expected, what: string): void {
  const short = expected.sizeBytes !== undefined && size < expected.sizeBytes;
  // Neither a length nor chunks: a connection that was cut looks like the end of the file, so nothing is proven against it.
  if (!source.endIsCertain && (short || (expected.sizeBytes === undefined && digest !== expected.digest))) {
    throw new ArtifactError(
      "ArtifactUnavailable",
      `${what} ended after ${size} bytes, and its source does not say whether that is all`,
    );
  }
  if (short) throw new ArtifactError("SizeMismatch", `${what} has ${size} bytes, expected ${expected.sizeBytes}`);
  if (digest !== expected.digest)
    throw new ArtifactError("DigestMismatch", `${what} has digest ${digest}, expected ${expected.digest}`);
}
