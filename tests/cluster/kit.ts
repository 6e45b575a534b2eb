// The cluster from the command line: node tests/cluster/kit.ts up|down|build|status [--slot N] [--audit] [--image FILE]
import { existsSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { buildPrograms } from "./build.ts";
import type { ClusterFacts } from "./messages.ts";
import { isAlive, ownerOf, SLOTS, slotOf } from "./slots.ts";
import { checkMachine, endCluster, startDetached } from "./start.ts";

const USAGE = `usage: node tests/cluster/kit.ts <command>
  build                          build Kubernetes, unless it is there already
  up [--slot N] [--audit] [--image FILE]...
                                 start a cluster that goes on in the background
  down [--slot N]                end the cluster in a slot, or all of them
  status                         the clusters of this machine`;

const say = (line: string) => process.stderr.write(`${line}\n`);

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { slot: { type: "string" }, audit: { type: "boolean" }, image: { type: "string", multiple: true } },
  });
  const slot = values.slot === undefined ? undefined : Number(values.slot);
  if (slot !== undefined && !(Number.isInteger(slot) && slot >= 0 && slot < SLOTS)) {
    throw new Error(`--slot ${values.slot}: a number from 0 to ${SLOTS - 1}`);
  }
  const [command] = positionals;
  if (command === "build") {
    checkMachine();
    const { folder, version } = await buildPrograms(say);
    console.log(`Kubernetes ${version} in ${folder}`);
  } else if (command === "up") {
    const facts = await startDetached({ slot, audit: values.audit, images: values.image, say });
    console.log(`Kubernetes ${facts.version} in slot ${facts.slot}. To use it, and to end it:`);
    console.log(`  export KUBECONFIG=${facts.kubeconfigPath}`);
    console.log(`  ${facts.kubectl} get nodes`);
    console.log(`  node tests/cluster/kit.ts down --slot ${facts.slot}`);
  } else if (command === "down") {
    for (const { number } of held(slot)) if (await endCluster(number)) console.log(`slot ${number}: ended`);
  } else if (command === "status") {
    for (const { number, text } of held(slot)) console.log(`slot ${number}: ${text}`);
  } else {
    say(USAGE);
    process.exitCode = 2;
  }
}

/** The slots that are taken, among all or the given one. */
function held(wanted: number | undefined): { number: number; text: string }[] {
  const numbers = wanted === undefined ? Array.from({ length: SLOTS }, (_, number) => number) : [wanted];
  return numbers.flatMap((number) => {
    const slot = slotOf(number, tmpdir());
    const owner = ownerOf(slot);
    if (!owner) return [];
    if (!isAlive(owner)) return [{ number, text: "its keeper was killed; `down` clears away what is left" }];
    const file = join(slot.folder, "cluster.json");
    if (!existsSync(file)) return [{ number, text: `starting or ending, keeper ${owner.pid}` }];
    const facts = JSON.parse(readFileSync(file, "utf8")) as ClusterFacts;
    return [{ number, text: `Kubernetes ${facts.version}, keeper ${owner.pid}, KUBECONFIG=${facts.kubeconfigPath}` }];
  });
}

main().catch((error: unknown) => {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
