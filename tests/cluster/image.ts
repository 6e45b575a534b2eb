// What the kit does with images: the one of every pod's first container, and containerd's import of an archive.
import { spawn } from "node:child_process";
import { writeImage } from "../../scripts/oci.ts";
import { PAUSE_IMAGE } from "./parts.ts";
import { within } from "./space.ts";

/** The image of the first container of every pod. */
export function pauseImage(program: string, archive: string): void {
  writeImage({ reference: PAUSE_IMAGE, files: { "/pause": program }, entrypoint: ["/pause"], user: "65535:65535" }, archive);
}

/** Has containerd take an archive; rejects with what it says when it does not. */
export async function importImage(init: number, socket: string, archive: string): Promise<void> {
  const [command = "", ...args] = within(init, [
    "ctr",
    "--address",
    socket,
    "--namespace",
    "k8s.io",
    "images",
    "import",
    archive,
  ]);
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      said += chunk;
    });
  }
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(`containerd did not take ${archive}: ${said.trim()}`);
}
