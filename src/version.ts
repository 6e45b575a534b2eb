// What was built: esbuild puts the version and the commit in place of ROLLGUARD_BUILD; from the sources, package.json is read.
import { readFileSync } from "node:fs";

declare const ROLLGUARD_BUILD: { version: string; commit: string } | undefined;

export interface BuildInfo {
  /** As in package.json. */
  version: string;
  /** The commit that the bundle was built from; absent where it isn't known. */
  commit?: string;
  /** The Node that runs this, without a leading v. */
  node: string;
  /** True for the bundle in `dist/`. */
  bundled: boolean;
}

export function buildInfo(): BuildInfo {
  const node = process.versions.node;
  if (typeof ROLLGUARD_BUILD !== "undefined") {
    const { version, commit } = ROLLGUARD_BUILD;
    return { version, ...(commit === "" ? {} : { commit }), node, bundled: true };
  }
  const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string };
  return { version: manifest.version, node, bundled: false };
}

/** What we call ourselves to the API server and to metric sources. */
export function userAgent(): string {
  return `rollguard/${buildInfo().version}`;
}
