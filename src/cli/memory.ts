// Gives back the memory that only the start needed. Node itself does so no sooner than the heap is under pressure, which an
// operator at rest never is: a tenth of its memory would be garbage of its own loading for good.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** One full and compacting collection, some 20 ms at the size of a start. Where the engine has none to offer, nothing happens. */
export function compact(): void {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("globalThis.gc");
  setFlagsFromString("--no-expose-gc");
  if (typeof collect === "function") collect({ type: "major", execution: "sync", flavor: "last-resort" });
}
