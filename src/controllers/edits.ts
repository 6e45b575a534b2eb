// Edits of our objects by other hands: put back, and named in an event. What differs may also be a decision of ours, or a cache that
// is behind; an edit is what is newer than the object that was as it still should be.

import { API_VERSION } from "../api/names.ts";
import type { EventRecorder } from "../kube/events.ts";
import type { KubeObject } from "../kube/objects.ts";
import { isNewer } from "../kube/store.ts";
import { differences } from "./objects.ts";

/** Of so many objects it is remembered; when there are more, it begins anew, and an edit or two are put back without a word. */
const REMEMBERED = 20_000;

/** Paths that an event names. */
const NAMED = 5;

export class Edits {
  #events: Pick<EventRecorder, "record">;
  /** Our objects when they were last seen as they should be, by uid. */
  #asWanted = new Map<string, { text: string; resourceVersion: string | undefined }>();

  constructor(events: Pick<EventRecorder, "record">) {
    this.#events = events;
  }

  /** `object` is as wanted. */
  remember(wanted: KubeObject, object: KubeObject): void {
    const { uid, resourceVersion } = object.metadata;
    if (uid === undefined || this.#asWanted.get(uid)?.resourceVersion === resourceVersion) return;
    if (this.#asWanted.size >= REMEMBERED && !this.#asWanted.has(uid)) this.#asWanted.clear();
    this.#asWanted.set(uid, { text: JSON.stringify(wanted), resourceVersion });
  }

  /** `edited` was just put back to what is wanted: tells of it, where it was somebody else's doing. */
  undone(wanted: KubeObject, edited: KubeObject): void {
    const known = this.#asWanted.get(edited.metadata.uid ?? "");
    const newer = isNewer(edited.metadata.resourceVersion, known?.resourceVersion);
    if (!known || newer !== true || known.text !== JSON.stringify(wanted)) return;
    const paths = differences(wanted, edited);
    const owner = wanted.metadata.ownerReferences?.[0];
    const { namespace, name } = wanted.metadata;
    if (!owner || paths.length === 0) return;
    this.#events.record({
      regarding: {
        apiVersion: API_VERSION,
        kind: owner.kind,
        metadata: { name: owner.name, uid: owner.uid, ...(namespace === undefined ? {} : { namespace }) },
      },
      related: edited,
      type: "Warning",
      reason: "EditUndone",
      note: `${wanted.kind} ${name}: what somebody else changed was put back: ${paths.slice(0, NAMED).join(", ")}`,
      action: "PutBack",
      id: `EditUndone-${edited.metadata.uid}-${paths[0]}`,
      // Two that fight over a field are told as something that goes on.
      ongoing: true,
    });
  }
}
