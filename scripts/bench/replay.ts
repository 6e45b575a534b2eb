// The bare writes that a comparison is made with: what was written while something happened, written again into a namespace that
// nobody guards, with the operator stopped: the same bodies, as many at once, and nothing that follows from them.

import type { KubeObject } from "../../src/kube/objects.ts";
import { inParallel } from "./models.ts";
import { BARE, GUARDED, USER_AGENT, type World, type Written } from "./world.ts";

/**
 * Stops the operator and writes it all again, the writes of one deployment one after the other. @returns ms
 * Rejects where a write is refused: the time would be of something else.
 * @param writes of the guarded namespace only; what they take to be there already has to be in the bare one, too
 */
export async function replay(world: World, writes: readonly Written[], width: number): Promise<number> {
  await world.operator.stop();
  const groups = new Map<string, Written[]>();
  for (const write of writes) {
    const name = /\bm\d{3}\b/.exec(`${write.url} ${nameIn(write.body)}`)?.[0] ?? "";
    groups.set(name, [...(groups.get(name) ?? []), write]);
  }
  const ordered = [...groups.values()];
  // What a replacement has to name: the version that the latest write of its object gave.
  const versions = await versionsBefore(world, writes);
  const begun = performance.now();
  await inParallel(ordered.length, width, async (index) => {
    for (const write of ordered[index] ?? []) await again(world, write, versions);
  });
  return performance.now() - begun;
}

/** The versions of the objects that are there before, and are replaced. Read before the time is taken. */
async function versionsBefore(world: World, writes: readonly Written[]): Promise<Map<string, string>> {
  const versions = new Map<string, string>();
  for (const { url } of writes.filter(({ method }) => method === "PUT")) {
    const answer = await fetch(bareUrl(world, url).replace(/\/status\?.*/, ""), { headers: { "user-agent": USER_AGENT } });
    const { kind, metadata }: KubeObject = JSON.parse(await answer.text());
    if (answer.ok && metadata.resourceVersion) versions.set(idOf({ kind, metadata }), metadata.resourceVersion);
  }
  return versions;
}

const bareUrl = (world: World, url: string): string => world.url + url.replace(`/namespaces/${GUARDED}/`, `/namespaces/${BARE}/`);

async function again(world: World, { method, url, contentType, body }: Written, versions: Map<string, string>): Promise<void> {
  // A deletion's preconditions are of the object that it was of.
  const sent = body === "" || method === "DELETE" ? undefined : elsewhere(JSON.parse(body));
  const version = method === "PUT" && sent ? versions.get(idOf(sent)) : undefined;
  if (sent && version !== undefined) sent.metadata.resourceVersion = version;
  const answer = await fetch(bareUrl(world, url), {
    method,
    headers: { "content-type": contentType, "user-agent": USER_AGENT },
    ...(sent ? { body: JSON.stringify(sent) } : {}),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${url} again: ${answer.status} ${text.slice(0, 300)}`);
  const { kind, metadata }: KubeObject = JSON.parse(text);
  if (metadata?.resourceVersion) versions.set(idOf({ kind, metadata }), metadata.resourceVersion);
}

/** The name that a body gives its object: that of one that is created is not in the URL. */
function nameIn(body: string): string {
  return body === "" ? "" : ((JSON.parse(body) as Partial<KubeObject>).metadata?.name ?? "");
}

const idOf = ({ kind, metadata }: Pick<KubeObject, "kind" | "metadata">): string => `${kind}/${metadata.name}`;

/** The object without what ties it to the ones that it was made with: the collector would remove it as an orphan. */
function elsewhere(object: KubeObject): KubeObject {
  const { uid: _uid, resourceVersion: _version, ownerReferences: _owners, ...metadata } = object.metadata;
  return { ...object, metadata: metadata.namespace === undefined ? metadata : { ...metadata, namespace: BARE } };
}
