// file: a path on the machine. In a cluster it would read whatever the image or a mount holds, so that it is refused unless
// the installation sets ROLLGUARD_ALLOW_FILE=true (the sandbox and tests do).
import { open } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { ArtifactError, errorCode, sourceError } from "../errors.ts";
import type { Scheme } from "./scheme.ts";

export const fileScheme: Scheme = {
  names: ["file"],
  async open(uri, { allowFile }) {
    if (!allowFile) throw new ArtifactError("UnsupportedScheme", "file: URIs are allowed only with ROLLGUARD_ALLOW_FILE=true");
    const file = pathOf(uri);
    const handle = await open(file, "r").catch((error: unknown) => {
      if (errorCode(error) === "ENOENT") throw new ArtifactError("ArtifactNotFound", `${file} is not there`);
      throw sourceError(error, file);
    });
    const stat = await handle.stat();
    if (!stat.isFile()) {
      await handle.close();
      throw new ArtifactError("ArtifactNotFound", `${file} is not a file`);
    }
    return {
      body: handle.createReadStream({ highWaterMark: 1 << 20, autoClose: false }),
      length: stat.size,
      endIsCertain: true,
      close: () => handle.close(),
    };
  },
};

function pathOf(uri: URL): string {
  try {
    return fileURLToPath(uri);
  } catch (error) {
    throw new ArtifactError("BadUri", error instanceof Error ? error.message : "not a path");
  }
}
