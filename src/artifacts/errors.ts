// What can go wrong with weights, as a closed set, and whose fault each is: the version's own (the candidate is quarantined)
// or that of what is around it (tried again). What can't be told apart counts as the source's: unknown never quarantines.
import { sanitizeLine } from "../text.ts";

/** Artifact: trying again gives the same end, so the version is at fault. Source: it may pass by itself. */
export type Fault = "Artifact" | "Source";

export type ArtifactReason =
  /** The content is not what the version names. */
  | "DigestMismatch"
  /** Longer or shorter than the version says. */
  | "SizeMismatch"
  /** The server sends to another host that is not allowed, or from https to http. */
  | "RedirectRefused"
  /** 404 or 410, or no such file: the version names something that is not there. */
  | "ArtifactNotFound"
  /** The URI can't be read, or carries credentials. */
  | "BadUri"
  /** Not `sha256:` and 64 hexadecimal digits. */
  | "BadDigest"
  /** The list of files leaves its folder, repeats a path, or is empty. */
  | "BadFiles"
  /** No file in `schemes/` knows this scheme. */
  | "UnsupportedScheme"
  /** The installation does not fetch from this host. */
  | "HostNotAllowed"
  /** 401 or 403: credentials are missing or wrong, which is not the model's fault. */
  | "ArtifactUnauthorized"
  /** Refused, unknown name, 429, 5xx, any other answer that is not the file, a broken connection, a time limit. */
  | "ArtifactUnavailable"
  /** The volume has no room. */
  | "DiskFull"
  /** The volume can't be read or written. */
  | "VolumeUnavailable"
  /** A signal ended the fetch. */
  | "FetchInterrupted"
  /** The environment that the operator sets is incomplete. */
  | "FetchMisconfigured";

const FAULTS: Readonly<Record<ArtifactReason, Fault>> = {
  DigestMismatch: "Artifact",
  SizeMismatch: "Artifact",
  RedirectRefused: "Artifact",
  ArtifactNotFound: "Artifact",
  BadUri: "Artifact",
  BadDigest: "Artifact",
  BadFiles: "Artifact",
  UnsupportedScheme: "Artifact",
  HostNotAllowed: "Artifact",
  ArtifactUnauthorized: "Source",
  ArtifactUnavailable: "Source",
  DiskFull: "Source",
  VolumeUnavailable: "Source",
  FetchInterrupted: "Source",
  FetchMisconfigured: "Source",
};

/** Exit codes of `rollguard fetch`, after sysexits.h: EX_DATAERR and EX_TEMPFAIL. */
export const EXIT_CODES: Readonly<Record<Fault, number>> = { Artifact: 65, Source: 75 };

/** The only error that this folder throws on purpose. Its message is one clean line without query strings or credentials. */
export class ArtifactError extends Error {
  readonly reason: ArtifactReason;

  constructor(reason: ArtifactReason, message: string) {
    super(sanitizeLine(message, 400));
    this.name = "ArtifactError";
    this.reason = reason;
  }

  get fault(): Fault {
    return FAULTS[this.reason];
  }

  get exitCode(): number {
    return EXIT_CODES[this.fault];
  }
}

/** The code of a system error, such as ENOSPC or ECONNREFUSED; that of its cause where it has none itself. */
export function errorCode(error: unknown): string | undefined {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth++) {
    if ("code" in at && typeof at.code === "string") return at.code;
    if (at instanceof AggregateError && at.errors.length > 0) return errorCode(at.errors[0]);
  }
  return undefined;
}

// EFBIG is what a limit on the size of files gives.
const FULL = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

/** What the local disk refused. */
export function localError(error: unknown, doing: string): ArtifactError {
  if (error instanceof ArtifactError) return error;
  const code = errorCode(error);
  if (code && FULL.has(code)) return new ArtifactError("DiskFull", `no room while ${doing} (${code})`);
  return new ArtifactError(
    "VolumeUnavailable",
    `failed ${doing} (${code ?? (error instanceof Error ? error.message : String(error))})`,
  );
}

/** What the network refused, in few words. */
export function sourceError(error: unknown, what: string): ArtifactError {
  if (error instanceof ArtifactError) return error;
  const words = errorCode(error) ?? (error instanceof Error ? error.message : String(error));
  return new ArtifactError("ArtifactUnavailable", `${what}: ${words}`);
}
