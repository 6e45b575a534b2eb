// `rollguard fetch`, the init container's program: reads its environment, fetches, says what happened in its log and in the
// termination message, and answers with an exit code. Takes the environment as an argument and ends no process.
import { writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { z } from "zod";
import { parseDuration } from "../api/common.ts";
import { type Clock, systemClock } from "../clock.ts";
import { sanitizeLine } from "../text.ts";
import { ArtifactError, EXIT_CODES } from "./errors.ts";
import { type Fetched, type FetchOptions, fetchArtifact } from "./fetch.ts";
import { type Progress, progressLine } from "./progress.ts";

export interface RunDeps {
  /** Gets one line of the log, without its end. Default: standard output. */
  write?: (line: string) => void;
  /** Ends the fetch, cleanly, with exit code 75. */
  signal?: AbortSignal;
  clock?: Clock;
}

type Env = Readonly<Record<string, string | undefined>>;

/** Kubernetes keeps 4 KiB of a termination message. */
const MESSAGE_MAX = 1024;
const PROGRESS_MS = 2000;

const FilesSchema = z.array(z.object({ path: z.string(), digest: z.string(), sizeBytes: z.int().min(0).optional() }));

/**
 * Resolves with the exit code: 0, 65 (the artifact's own fault), 75 (the source's or the machine's: try again), 64 (usage).
 * Never rejects. The variables are those of `fetchEnvironment`, and TERMINATION_LOG, ROLLGUARD_PROGRESS_FILE, ROLLGUARD_TOKEN
 * and HOSTNAME where there are any.
 */
export async function runFetch(env: Env, argv: readonly string[] = [], deps: RunDeps = {}): Promise<number> {
  const write = deps.write ?? ((line: string) => void process.stdout.write(`${line}\n`));
  if (argv.length > 0) {
    write("usage: rollguard fetch takes no arguments; it reads ROLLGUARD_ARTIFACT_URI and the other variables of its container");
    return 64;
  }
  const clock = deps.clock ?? systemClock;
  const version = sanitizeLine(env.ROLLGUARD_VERSION ?? "unknown", 253);
  try {
    const options = readOptions(env);
    const onProgress = reporter(clock, version, write, env.ROLLGUARD_PROGRESS_FILE);
    const fetched = await fetchArtifact({ ...options, clock, onProgress, ...(deps.signal ? { signal: deps.signal } : {}) });
    write(doneLine(version, fetched));
    return 0;
  } catch (error) {
    return report(error, version, env, write);
  }
}

function report(error: unknown, version: string, env: Env, write: (line: string) => void): number {
  const known = error instanceof ArtifactError ? error : undefined;
  const reason = known?.reason ?? "ArtifactUnavailable";
  const fault = known?.fault ?? "Source";
  const detail = sanitizeLine(error instanceof Error ? error.message : String(error), MESSAGE_MAX);
  const line = JSON.stringify({ reason, fault, message: `version ${version}: ${detail}` });
  write(line);
  try {
    writeFileSync(env.TERMINATION_LOG || "/dev/termination-log", line);
  } catch {
    // Outside of a pod there is none; terminationMessagePolicy FallbackToLogsOnError reads the line above.
  }
  return EXIT_CODES[fault];
}

function doneLine(version: string, { path, bytes, outcome, elapsedMs }: Fetched): string {
  return JSON.stringify({
    msg: outcome === "Present" ? "already there and verified" : "fetched and verified",
    version,
    path,
    bytes,
    elapsedMs: Math.round(elapsedMs),
  });
}

/** Writes at most one line in PROGRESS_MS; the file, if any, holds the newest one. */
function reporter(clock: Clock, version: string, write: (line: string) => void, file: string | undefined) {
  let last = Number.NEGATIVE_INFINITY;
  return (progress: Progress): void => {
    if (clock.monotonic() - last < PROGRESS_MS) return;
    last = clock.monotonic();
    const line = progressLine(version, { ...progress, elapsedMs: Math.round(progress.elapsedMs) });
    write(line);
    if (!file) return;
    try {
      writeFileSync(file, `${line}\n`);
    } catch {
      // Progress is for watching; weights don't fail for it.
    }
  };
}

/** Throws Misconfigured where the environment is not what `fetchEnvironment` makes. */
function readOptions(env: Env): FetchOptions {
  const uri = required(env, "ROLLGUARD_ARTIFACT_URI");
  const destination = required(env, "ROLLGUARD_MODEL_PATH");
  const size = env.ROLLGUARD_ARTIFACT_SIZE;
  if (size && !/^\d{1,15}$/.test(size)) throw misconfigured("ROLLGUARD_ARTIFACT_SIZE", "a number of bytes");
  const verify = env.ROLLGUARD_FETCH_VERIFY || "Always";
  if (verify !== "Always" && verify !== "Once") throw misconfigured("ROLLGUARD_FETCH_VERIFY", "Always or Once");
  const attempts = Number(env.ROLLGUARD_FETCH_ATTEMPTS || "3");
  if (!Number.isInteger(attempts) || attempts < 1) throw misconfigured("ROLLGUARD_FETCH_ATTEMPTS", "a number from 1");
  const hosts = env.ROLLGUARD_ALLOWED_HOSTS?.split(",")
    .map((host) => host.trim())
    .filter(Boolean);
  return {
    uri,
    destination,
    ...(env.ROLLGUARD_ARTIFACT_DIGEST ? { digest: env.ROLLGUARD_ARTIFACT_DIGEST } : {}),
    ...(env.ROLLGUARD_ARTIFACT_FILES ? { files: readFiles(env.ROLLGUARD_ARTIFACT_FILES) } : {}),
    ...(size ? { sizeBytes: Number(size) } : {}),
    ...(hosts && hosts.length > 0 ? { allowedHosts: hosts } : {}),
    ...(env.ROLLGUARD_TOKEN ? { token: env.ROLLGUARD_TOKEN } : {}),
    timeoutMs: milliseconds(env, "ROLLGUARD_FETCH_TIMEOUT", "30m"),
    idleMs: milliseconds(env, "ROLLGUARD_FETCH_IDLE_TIMEOUT", "30s"),
    allowFile: env.ROLLGUARD_ALLOW_FILE === "true",
    verify,
    attempts,
    owner: env.HOSTNAME || hostname(),
  };
}

function required(env: Env, name: string): string {
  const value = env[name];
  if (!value) throw new ArtifactError("FetchMisconfigured", `${name} is not set`);
  return value;
}

function misconfigured(name: string, wanted: string): ArtifactError {
  return new ArtifactError("FetchMisconfigured", `${name} must be ${wanted}`);
}

function milliseconds(env: Env, name: string, fallback: string): number {
  try {
    return parseDuration(env[name] || fallback);
  } catch {
    throw misconfigured(name, "a duration such as 10m");
  }
}

function readFiles(text: string): z.infer<typeof FilesSchema> {
  try {
    return FilesSchema.parse(JSON.parse(text));
  } catch {
    throw misconfigured("ROLLGUARD_ARTIFACT_FILES", "a JSON list of {path, digest, sizeBytes}");
  }
}
