// Whether the artifact already lies in the volume, verified: by reading it again (Always), or by a note that an earlier fetch
// left beside it (Once), which trusts that nobody changes a file and keeps its size and time.
import { lstat, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { digestFile } from "./digest.ts";
import type { Expected } from "./transfer.ts";

/** A file of the artifact; of a single file the path is "". */
export interface ExpectedFile extends Expected {
  path: string;
}

const notePath = (target: string): string => path.join(path.dirname(target), `.${path.basename(target)}.verified`);

/** Path, size and time of change of each file below `target`, sorted; undefined where there is something else than plain files. */
async function stamp(target: string, single: boolean): Promise<[string, number, number][] | undefined> {
  const whole = await lstat(target);
  if (single) return whole.isFile() ? [["", whole.size, whole.mtimeMs]] : undefined;
  if (!whole.isDirectory()) return undefined;
  const found: [string, number, number][] = [];
  for (const entry of await readdir(target, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) continue;
    if (!entry.isFile()) return undefined;
    const file = path.join(entry.parentPath, entry.name);
    const { size, mtimeMs } = await lstat(file);
    found.push([path.relative(target, file).split(path.sep).join("/"), size, mtimeMs]);
  }
  return found.sort(([a], [b]) => (a < b ? -1 : 1));
}

function noteText(files: readonly ExpectedFile[], stamped: readonly [string, number, number][]): string {
  return JSON.stringify({ digests: files.map(({ path: name, digest }) => [name, digest]).sort(), files: stamped });
}

/**
 * True where exactly these files are there and each has its digest. Anything unreadable is "not there": it is fetched again,
 * and what is wrong with the volume shows then. Rejects only with the signal's reason.
 */
export async function isPresent(
  target: string,
  files: readonly ExpectedFile[],
  verify: "Always" | "Once",
  limits: { signal: AbortSignal; touch(): void },
): Promise<boolean> {
  try {
    const stamped = await stamp(target, files[0]?.path === "");
    if (stamped?.length !== files.length) return false;
    const sizes = new Map(stamped.map(([name, size]) => [name, size]));
    for (const { path: name, sizeBytes } of files) {
      const size = sizes.get(name);
      if (size === undefined || (sizeBytes !== undefined && size !== sizeBytes)) return false;
    }
    if (verify === "Once" && (await readFile(notePath(target), "utf8").catch(() => "")) === noteText(files, stamped)) return true;
    for (const file of files) {
      const digest = await digestFile(path.join(target, file.path), limits.signal, () => limits.touch());
      if (digest !== file.digest) return false;
    }
    return true;
  } catch {
    limits.signal.throwIfAborted();
    return false;
  }
}

/** Leaves the note for `Once`. A volume that refuses it only costs a reading at the next start. */
export async function noteVerified(target: string, files: readonly ExpectedFile[]): Promise<void> {
  try {
    const stamped = await stamp(target, files[0]?.path === "");
    if (stamped) await writeFile(notePath(target), noteText(files, stamped));
  } catch {
    // As said above.
  }
}
