// The images that scripts/image.ts makes without an engine: what is in them, what is not, and that they run.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DIGITS_IMAGE, type Images, LIMIT, makeImages, OPERATOR_IMAGE } from "../../scripts/image.ts";

interface Unpacked {
  reference: string;
  config: { Entrypoint: string[]; Cmd: string[]; User: string; Labels: Record<string, string> };
  /** Paths of the files in it, without the folders. */
  files: string[];
  /** Where it lies unpacked. */
  root: string;
}

function unpack(archive: string, folder: string): Unpacked {
  mkdirSync(join(folder, "root"), { recursive: true });
  execFileSync("tar", ["-xf", archive, "-C", folder]);
  const blob = (digest: string) => join(folder, "blobs", digest.replace(":", "/"));
  const read = (file: string) => JSON.parse(readFileSync(file, "utf8"));
  const [listed] = read(join(folder, "index.json")).manifests;
  const { config, layers } = read(blob(listed.digest));
  const layer = blob(layers[0].digest);
  execFileSync("tar", ["-xzf", layer, "-C", join(folder, "root")]);
  const lines = execFileSync("tar", ["-tzf", layer], { encoding: "utf8" }).trim().split("\n");
  const reference = listed.annotations["io.containerd.image.name"];
  return {
    reference,
    config: read(blob(config.digest)).config,
    files: lines.filter((line) => !line.endsWith("/")),
    root: join(folder, "root"),
  };
}

// Programs and libraries as Linux has them; elsewhere the Dockerfile makes the image.
describe.skipIf(process.platform !== "linux")("the images", () => {
  const folder = mkdtempSync(join(tmpdir(), "rollguard-images-"));
  let archives: Images;
  let operator: Unpacked;
  let digits: Unpacked;

  beforeAll(() => {
    archives = makeImages(folder);
    operator = unpack(archives.operator, join(folder, "operator"));
    digits = unpack(archives.digits, join(folder, "digits"));
  }, 120_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("have at most 70 MB packed", () => {
    for (const archive of Object.values(archives)) expect(statSync(archive).size).toBeLessThanOrEqual(LIMIT);
  });

  test("bear the names that the manifests use, run as nobody in particular, and say what they are", () => {
    expect([operator.reference, digits.reference]).toEqual([OPERATOR_IMAGE, DIGITS_IMAGE]);
    const deployment = readFileSync("manifests/base/deployment.yaml", "utf8");
    expect(deployment).toContain(`image: ${OPERATOR_IMAGE.replace("docker.io/library/", "")}\n`);
    for (const { config } of [operator, digits]) {
      expect(config.User).toBe("65532:65532");
      expect(config.Labels).toMatchObject({ "org.opencontainers.image.licenses": "Apache-2.0" });
    }
  });

  test("hold Node with its libraries and the program, and no sandbox, package manager, shell or source", () => {
    const known = [
      /^usr\/local\/bin\/node$/,
      /^lib(64)?\/.+\.so[.\d]*$/,
      /^etc\/(passwd|group|nsswitch\.conf)$/,
      /^app\/[\w-]+\.js$/,
    ];
    expect(operator.files.filter((path) => !known.some((pattern) => pattern.test(path)))).toEqual([]);
    expect(operator.files).toContain("app/rollguard.js");
    expect(operator.files).not.toContain("app/sandbox.js");
  });

  // chroot needs root.
  test.skipIf(process.getuid?.() !== 0)("run with nothing but what is in them", () => {
    const inside = ({ root, config }: Unpacked, ...args: string[]) =>
      execFileSync("chroot", [`--userspec=${config.User}`, root, "/usr/local/bin/node", ...args], {
        encoding: "utf8",
        env: { PATH: "/usr/sbin:/usr/bin" },
      });
    expect(inside(operator, ...operator.config.Entrypoint.slice(1), "--help")).toContain("rollguard");
    const script = 'import("/app/examples/digits/server.ts").then((server) => console.log(typeof server.createModelServer))';
    expect(inside(digits, "-e", script)).toBe("function\n");
  });
});
