// Images without a container engine: files are put into one layer of an OCI archive, which any engine or registry tool takes.
// A program's own libraries are found as the loader finds them, so that an image holds what it needs and nothing else.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";

export interface ImageSpec {
  /** "localhost/rollguard/name:1" */
  reference: string;
  /** Path in the image, to the file or folder on this machine, or to the text of a file. */
  files: Readonly<Record<string, string | { text: string }>>;
  entrypoint: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** "1000:1000"; root without it. */
  user?: string;
  workingDir?: string;
  /** Arguments where the one who runs it gives none. */
  command?: readonly string[];
  labels?: Readonly<Record<string, string>>;
  /** How hard the layer is packed, 1 (the default, quick) to 9. */
  level?: number;
}

interface Entry {
  path: string;
  kind: "file" | "folder" | "link";
  mode: number;
  content: Buffer;
  target: string;
}

/** Writes an OCI archive. The same files give the same bytes. */
export function writeImage(spec: ImageSpec, archive: string): void {
  const layer = tar(entriesOf(spec.files));
  const packed = gzipSync(layer, { level: spec.level ?? 1 });
  const architecture = process.arch === "x64" ? "amd64" : process.arch;
  const config = {
    architecture,
    os: "linux",
    config: {
      Entrypoint: spec.entrypoint,
      Env: Object.entries({ PATH: "/usr/bin:/bin", ...spec.env }).map(([name, value]) => `${name}=${value}`),
      WorkingDir: spec.workingDir ?? "/",
      ...(spec.command === undefined ? {} : { Cmd: spec.command }),
      ...(spec.labels === undefined ? {} : { Labels: spec.labels }),
      ...(spec.user === undefined ? {} : { User: spec.user }),
    },
    rootfs: { type: "layers", diff_ids: [digest(layer)] },
  };
  const blobs: Entry[] = [];
  const add = (mediaType: string, content: Buffer) => {
    blobs.push(file(`blobs/sha256/${digest(content).slice("sha256:".length)}`, content));
    return { mediaType, digest: digest(content), size: content.length };
  };
  const oci = "application/vnd.oci.image";
  const manifest = {
    schemaVersion: 2,
    mediaType: `${oci}.manifest.v1+json`,
    config: add(`${oci}.config.v1+json`, json(config)),
    layers: [add(`${oci}.layer.v1.tar+gzip`, packed)],
  };
  const annotations = { "io.containerd.image.name": spec.reference, "org.opencontainers.image.ref.name": spec.reference };
  const listed = { ...add(manifest.mediaType, json(manifest)), platform: { architecture, os: "linux" }, annotations };
  const index = { schemaVersion: 2, mediaType: `${oci}.index.v1+json`, manifests: [listed] };
  const layout = file("oci-layout", json({ imageLayoutVersion: "1.0.0" }));
  writeFileSync(archive, tar([layout, file("index.json", json(index)), ...blobs]));
}

/** A program and the libraries that it is linked with, as files of an image: the program at `path`. */
export function programFiles(program: string, path: string): Record<string, string> {
  const listed = execFileSync("ldd", [program], { encoding: "utf8" });
  const libraries = [...listed.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, library = ""]) => library);
  // At the very paths that the loader looks at; what is a link there is the file itself in the image.
  return { [path]: realpathSync(program), ...Object.fromEntries(libraries.map((library) => [library, realpathSync(library)])) };
}

function entriesOf(files: ImageSpec["files"]): Entry[] {
  const entries = new Map<string, Entry>();
  const add = (path: string, source: string): void => {
    const stat = lstatSync(source);
    const mode = stat.mode & 0o777;
    if (stat.isSymbolicLink())
      entries.set(path, { path, kind: "link", mode, content: Buffer.alloc(0), target: readlinkSync(source) });
    else if (stat.isDirectory()) {
      entries.set(path, folder(path));
      for (const name of readdirSync(source).sort()) add(join(path, name), join(source, name));
    } else entries.set(path, { ...file(path, readFileSync(source)), mode: mode | 0o444 });
  };
  for (const [at, source] of Object.entries(files)) {
    const path = at.replace(/^\/+/, "");
    if (typeof source === "string") add(path, source);
    else entries.set(path, file(path, Buffer.from(source.text)));
  }
  for (const { path } of [...entries.values()]) {
    for (let parent = dirname(path); parent !== "."; parent = dirname(parent)) {
      if (!entries.has(parent)) entries.set(parent, folder(parent));
    }
  }
  return [...entries.values()].sort((one, other) => (one.path < other.path ? -1 : 1));
}

function file(path: string, content: Buffer): Entry {
  return { path, kind: "file", mode: 0o644, content, target: "" };
}

function folder(path: string): Entry {
  return { path, kind: "folder", mode: 0o755, content: Buffer.alloc(0), target: "" };
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function digest(content: Buffer): string {
  return `sha256:${createHash("sha256").update(content).digest("hex")}`;
}

const BLOCK = 512;

/** The ustar format of POSIX.1-1988, with owner root and time 0. */
function tar(entries: readonly Entry[]): Buffer {
  const parts: Buffer[] = [];
  for (const entry of entries) {
    parts.push(header(entry), entry.content, Buffer.alloc((BLOCK - (entry.content.length % BLOCK)) % BLOCK));
  }
  parts.push(Buffer.alloc(2 * BLOCK));
  return Buffer.concat(parts);
}

function header({ path, kind, mode, content, target }: Entry): Buffer {
  const block = Buffer.alloc(BLOCK);
  const name = kind === "folder" ? `${path}/` : path;
  const split = Buffer.byteLength(name) <= 100 ? 0 : name.lastIndexOf("/", 155);
  if (split < 0 || Buffer.byteLength(name) - split > 101) throw new Error(`too long a path for an image: ${path}`);
  const put = (text: string, at: number) => block.write(text, at);
  const number = (value: number, at: number, length: number) => put(value.toString(8).padStart(length - 1, "0"), at);
  put(split === 0 ? name : name.slice(split + 1), 0);
  number(mode, 100, 8);
  number(0, 108, 8);
  number(0, 116, 8);
  number(content.length, 124, 12);
  number(0, 136, 12);
  put("        ", 148);
  put({ file: "0", folder: "5", link: "2" }[kind], 156);
  put(target, 157);
  put("ustar\x0000", 257);
  if (split > 0) put(name.slice(0, split), 345);
  number(
    block.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
  return block;
}
