// Names: where an artifact lies in the volume, what a URI may look like, which hosts are allowed. Pure.
import path from "node:path";
import { ArtifactError } from "./errors.ts";

/** Throws BadUri. Credentials belong in a Secret: a version is readable by everyone in its namespace. */
export function parseUri(uri: string): URL {
  if (!URL.canParse(uri) || !/^[a-z][a-z0-9+.-]*:\/\//i.test(uri)) {
    throw new ArtifactError("BadUri", `${JSON.stringify(uri.slice(0, 200))} is not a URI such as https://host/path`);
  }
  const url = new URL(uri);
  if (url.username || url.password)
    throw new ArtifactError("BadUri", "the artifact's URI must not contain a user name or password");
  return url;
}

/** Without query and fragment: a signed URL's query is a credential, and must reach no log or status. */
export function printable(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

/** The last segment of the URI's path, made safe as a file name; "model" where there is none. */
export function artifactName(uri: string): string {
  const segment = parseUri(uri).pathname.split("/").filter(Boolean).at(-1) ?? "";
  const name = decoded(segment)
    .replace(/[^A-Za-z0-9._-]/g, "_")
    .replace(/^\.+/, "")
    .slice(-128);
  return name === "" ? "model" : name;
}

/** Where the artifact (a file, or the folder of a directory artifact) lies: `<modelPath>/<name>`. */
export function artifactPath(modelPath: string, uri: string): string {
  return path.posix.join(modelPath, artifactName(uri));
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/**
 * Throws BadFiles for a path that is absolute, has an empty, `.` or `..` segment, a back-slash, a NUL or other control
 * character, and for lists in which one path is another, or lies below another. Names that differ in case only are refused too: some volumes
 * take them for one.
 */
export function checkFiles(paths: readonly string[]): void {
  if (paths.length === 0) throw new ArtifactError("BadFiles", "the list of files is empty");
  const seen = new Set<string>();
  for (const file of paths) {
    const segments = file.split("/");
    const bad = segments.some((segment) => segment === "" || segment === "." || segment === ".." || /[\\\p{Cc}]/u.test(segment));
    if (bad || file.length > 512)
      throw new ArtifactError("BadFiles", `${JSON.stringify(file.slice(0, 100))} is not a path below the artifact`);
    const folded = file.toLowerCase();
    if (seen.has(folded)) throw new ArtifactError("BadFiles", `${file} is there twice`);
    seen.add(folded);
  }
  for (const folded of seen) {
    const parts = folded.split("/");
    for (let depth = 1; depth < parts.length; depth++) {
      const parent = parts.slice(0, depth).join("/");
      if (seen.has(parent)) throw new ArtifactError("BadFiles", `${parent} is a file and a folder`);
    }
  }
}

/** The URI of one file of a directory artifact; the query of the base stays. */
export function fileUri(base: URL, file: string): URL {
  const url = new URL(base);
  url.pathname = `${base.pathname.replace(/\/+$/, "")}/${file.split("/").map(encodeURIComponent).join("/")}`;
  return url;
}

/** Entries are `host`, `host:port` or `*.domain` (any host below it, not the domain itself). */
export function isAllowedHost(url: URL, allowed: readonly string[]): boolean {
  const host = url.hostname.toLowerCase();
  return allowed.some((entry) => {
    const wanted = entry.trim().toLowerCase();
    if (wanted.startsWith("*.")) return host.endsWith(wanted.slice(1)) && host.length > wanted.length - 1;
    return wanted === host || wanted === `${host}:${effectivePort(url)}`;
  });
}

function effectivePort(url: URL): string {
  return url.port || (url.protocol === "https:" ? "443" : "80");
}
