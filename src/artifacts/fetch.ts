// Puts an artifact into a volume: verified before it can be seen, there as a whole or not at all. A single file is written
// beside its place and renamed; a directory is filled under a temporary name and renamed in one go.
import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { type Clock, sleep, systemClock } from "../clock.ts";
import { checkDigest } from "./digest.ts";
import { ArtifactError, errorCode, localError } from "./errors.ts";
import { type Limits, startLimits } from "./limits.ts";
import { artifactName, checkFiles, fileUri, parseUri } from "./location.ts";
import { type ExpectedFile, isPresent, noteVerified } from "./present.ts";
import type { Progress } from "./progress.ts";
import { schemeOf } from "./schemes/index.ts";
import type { Scheme } from "./schemes/scheme.ts";
import { transfer } from "./transfer.ts";

export interface FetchOptions {
  uri: string;
  /** Of one file: `sha256:<hex>`. Exactly one of `digest` and `files` is given. */
  digest?: string;
  /** Of a directory: each file's path below the URI. */
  files?: readonly { path: string; digest: string; sizeBytes?: number }[];
  /** All bytes of the artifact. */
  sizeBytes?: number;
  /** The folder that gets the artifact, as `<destination>/<name>`; must exist. */
  destination: string;
  /** For the whole fetch, ms. */
  timeoutMs: number;
  /** Without any byte, ms. Default 30 s. */
  idleMs?: number;
  /** See OpenOptions. */
  allowedHosts?: readonly string[];
  token?: string;
  allowFile?: boolean;
  verify?: "Always" | "Once";
  /** Tries of each file while the reason is ArtifactUnavailable, with a pause that doubles from one second. Default 3. */
  attempts?: number;
  /** Names whoever fetches, so that only its own leftovers are removed at once from a shared volume. Default "fetch". */
  owner?: string;
  onProgress?: (progress: Progress) => void;
  /** Ends the fetch with the reason Interrupted. */
  signal?: AbortSignal;
  clock?: Clock;
  schemes?: readonly Scheme[];
}

export interface Fetched {
  /** Where the artifact lies. */
  path: string;
  bytes: number;
  /** Present: it was there and verified, nothing was downloaded. */
  outcome: "Fetched" | "Present";
  elapsedMs: number;
}

const IDLE_MS = 30_000;
// Nobody who still fetches leaves a file untouched for so long.
const ABANDONED_MS = 3_600_000;

/** What one fetch knows, passed down. */
interface Job {
  options: FetchOptions;
  uri: URL;
  scheme: Scheme;
  files: ExpectedFile[];
  target: string;
  temporary: string;
  limits: Limits;
  clock: Clock;
  report: (count: number) => void;
}

/** Rejects with ArtifactError and nothing else; the target is then as it was before. */
export async function fetchArtifact(options: FetchOptions): Promise<Fetched> {
  const clock = options.clock ?? systemClock;
  const started = clock.monotonic();
  const uri = parseUri(options.uri);
  const scheme = schemeOf(uri, options.schemes);
  const files = expectedFiles(options);
  const totalBytes = options.sizeBytes ?? total(files);
  const name = artifactName(options.uri);
  const owner = (options.owner ?? "fetch").replace(/[^A-Za-z0-9-]/g, "-").slice(0, 64);
  const limits = startLimits(clock, options.timeoutMs, options.idleMs ?? IDLE_MS, options.signal);
  let bytes = 0;
  const progress = () => ({ bytes, ...(totalBytes === undefined ? {} : { totalBytes }), elapsedMs: clock.monotonic() - started });
  const job: Job = {
    options,
    uri,
    scheme,
    files,
    target: path.join(options.destination, name),
    temporary: path.join(options.destination, `.${name}.${owner}.${randomBytes(4).toString("hex")}.partial`),
    limits,
    clock,
    report: (count) => {
      bytes += count;
      limits.touch();
      options.onProgress?.(progress());
    },
  };
  try {
    await removeLeftovers(options.destination, name, owner, clock);
    const present = await isPresent(job.target, files, options.verify ?? "Always", limits);
    const size = present ? ((await sizeOf(job)) ?? 0) : await bring(job);
    if (options.verify === "Once") await noteVerified(job.target, files);
    return { path: job.target, bytes: size, outcome: present ? "Present" : "Fetched", elapsedMs: clock.monotonic() - started };
  } catch (error) {
    await rm(job.temporary, { recursive: true, force: true }).catch(() => {});
    throw localError(error, "preparing the volume");
  } finally {
    limits.end();
  }
}

/** The files to fetch; a single file has the path "". Throws BadDigest, BadFiles or SizeMismatch. */
function expectedFiles({ digest, files, sizeBytes }: FetchOptions): ExpectedFile[] {
  if ((digest === undefined) === (files === undefined)) {
    throw new ArtifactError("FetchMisconfigured", "exactly one of digest and files must be given");
  }
  if (digest !== undefined) {
    checkDigest(digest);
    return [{ path: "", digest, ...(sizeBytes === undefined ? {} : { sizeBytes }) }];
  }
  const list = [...(files ?? [])];
  checkFiles(list.map((file) => file.path));
  for (const file of list) checkDigest(file.digest);
  const sum = total(list);
  if (sum !== undefined && sizeBytes !== undefined && sum !== sizeBytes) {
    throw new ArtifactError("SizeMismatch", `the files have ${sum} bytes together, the artifact is said to have ${sizeBytes}`);
  }
  return list;
}

/** Undefined where a file does not say its size. */
function total(files: readonly { sizeBytes?: number }[]): number | undefined {
  return files.reduce<number | undefined>(
    (sum, { sizeBytes }) => (sum === undefined || sizeBytes === undefined ? undefined : sum + sizeBytes),
    0,
  );
}

async function sizeOf({ target, files }: Job): Promise<number | undefined> {
  return total(await Promise.all(files.map(async (file) => ({ sizeBytes: (await stat(path.join(target, file.path))).size }))));
}

async function bring(job: Job): Promise<number> {
  const { files, target, temporary, options } = job;
  const single = files[0]?.path === "";
  let size = 0;
  for (const file of files) {
    const place = path.join(temporary, file.path);
    if (!single) await mkdir(path.dirname(place), { recursive: true });
    const maxBytes = options.sizeBytes === undefined ? undefined : options.sizeBytes - size;
    size += await download(job, maxBytes === undefined ? file : { ...file, maxBytes }, place);
  }
  if (options.sizeBytes !== undefined && size !== options.sizeBytes) {
    throw new ArtifactError("SizeMismatch", `the files have ${size} bytes together, expected ${options.sizeBytes}`);
  }
  if (single) await rename(temporary, target);
  else await replaceFolder(job);
  // The name itself must survive a power cut, not only the content.
  await syncFolder(options.destination);
  return size;
}

async function download(job: Job, file: ExpectedFile, place: string): Promise<number> {
  const { options, limits, clock, scheme } = job;
  const uri = file.path === "" ? job.uri : fileUri(job.uri, file.path);
  const what = file.path === "" ? path.basename(job.target) : file.path;
  const attempts = options.attempts ?? 3;
  for (let attempt = 1; ; attempt++) {
    let received = 0;
    try {
      limits.signal.throwIfAborted();
      const source = await scheme.open(uri, {
        signal: limits.signal,
        allowFile: options.allowFile ?? false,
        ...(options.allowedHosts ? { allowedHosts: options.allowedHosts } : {}),
        ...(options.token ? { token: options.token } : {}),
      });
      return await transfer(source, place, file, what, {
        signal: limits.signal,
        onBytes: (count) => {
          received += count;
          job.report(count);
        },
      });
    } catch (error) {
      const passing = error instanceof ArtifactError && error.reason === "ArtifactUnavailable" && !limits.signal.aborted;
      if (!passing || attempt >= attempts) throw error;
      job.report(-received);
      await sleep(clock, 1000 * 2 ** (attempt - 1), limits.signal);
    }
  }
}

/**
 * A folder can't be renamed onto one that has content. That one is kept where it is right by now (another fetch into the same
 * volume was faster, and its server may be loading it); otherwise it steps aside first.
 */
async function replaceFolder({ temporary, target, files, limits }: Job): Promise<void> {
  try {
    await rename(temporary, target);
  } catch (error) {
    const code = errorCode(error);
    if (code !== "ENOTEMPTY" && code !== "EEXIST" && code !== "ENOTDIR") throw error;
    if (await isPresent(target, files, "Always", limits)) return rm(temporary, { recursive: true, force: true });
    const aside = temporary.replace(/partial$/, "old.partial");
    await rename(target, aside);
    await rename(temporary, target);
    await rm(aside, { recursive: true, force: true });
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  // Some file systems can't; the rename holds there all the same as long as the machine does.
  await handle.sync().catch(() => {});
  await handle.close();
}

/** What an earlier, killed fetch left behind: our own at once, others' when nobody can be writing them any more. */
async function removeLeftovers(folder: string, name: string, owner: string, clock: Clock): Promise<void> {
  for (const entry of await readdir(folder)) {
    if (!entry.startsWith(`.${name}.`) || !entry.endsWith(".partial")) continue;
    const leftover = path.join(folder, entry);
    const own = entry.startsWith(`.${name}.${owner}.`);
    const { mtimeMs } = await stat(leftover).catch(() => ({ mtimeMs: clock.now() }));
    if (own || clock.now() - mtimeMs > ABANDONED_MS) await rm(leftover, { recursive: true, force: true });
  }
}
