// What a URI scheme must be able to do. One file a scheme; `index.ts` lists them.

export interface OpenOptions {
  /** Aborted with an ArtifactError when a limit is reached. */
  signal: AbortSignal;
  /** Hosts that may be fetched from; undefined: the URI's own, and no redirect to another. */
  allowedHosts?: readonly string[];
  /** Sent as `Authorization: Bearer`, only to the URI's own origin, and only encrypted or on loopback. */
  token?: string;
  /** `file:` only where the installation says so. */
  allowFile: boolean;
}

/** The content of one file, on its way. */
export interface Opened {
  body: AsyncIterable<Uint8Array>;
  /** Bytes that the source announces. */
  length?: number;
  /** True where a body that was cut off rejects; false where its end can't be told from a cut. */
  endIsCertain: boolean;
  /** Gives up what is left of it. */
  close(): Promise<void>;
}

export interface Scheme {
  /** As in a URI, without the colon. */
  readonly names: readonly string[];
  /** Rejects with ArtifactError. */
  open(uri: URL, options: OpenOptions): Promise<Opened>;
}
