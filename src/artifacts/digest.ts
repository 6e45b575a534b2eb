// Digests of content: `sha256:` and 64 lower-case hexadecimal digits, computed while the bytes stream past.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { ArtifactError } from "./errors.ts";

const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** Throws BadDigest for anything else than `sha256:<64 lower-case hex>`. */
export function checkDigest(digest: string): void {
  if (!DIGEST.test(digest))
    throw new ArtifactError("BadDigest", `${JSON.stringify(digest)} is not sha256: and 64 hexadecimal digits`);
}

/** Takes bytes one piece after the other; `digest()` ends it. */
export function digester(): { update(bytes: Uint8Array): void; digest(): string } {
  const hash = createHash("sha256");
  return { update: (bytes) => void hash.update(bytes), digest: () => `sha256:${hash.digest("hex")}` };
}

/** The digest of a file, read once. `onBytes` hears of each piece. Rejects with what the disk says, or the signal's reason. */
export async function digestFile(
  file: string,
  signal?: AbortSignal,
  onBytes: (count: number) => void = () => {},
): Promise<string> {
  const hash = digester();
  for await (const bytes of createReadStream(file, { highWaterMark: 1 << 20 })) {
    signal?.throwIfAborted();
    hash.update(bytes as Buffer);
    onBytes((bytes as Buffer).length);
  }
  return hash.digest();
}
