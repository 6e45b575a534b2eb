// Shows the freeze window that is in force, or the next one within a day. What it holds is in limits.ts.

import { FREEZE_SHOWN_MS } from "../../api/defaults.ts";
import { type Context, iso, type Rule } from "../context.ts";
import { type Freeze, freezeProblem, frozen } from "../freeze.ts";

function windowAt({ snapshot, now }: Context): Freeze | undefined {
  const windows = snapshot.policy.freeze;
  try {
    return frozen(windows, now);
  } catch {
    // One that can't be read holds by itself (limits.ts); the others still count.
    return frozen(
      windows.filter((one) => freezeProblem(one) === undefined),
      now,
    );
  }
}

export const noteFreeze: Rule = {
  name: "note-freeze",
  apply(context) {
    const { status, snapshot, now, wake } = context;
    const found = snapshot.policy.freeze.length === 0 ? undefined : windowAt(context);
    const shown = found && now >= found.from - FREEZE_SHOWN_MS;
    if (shown) status.freeze = { active: found.active, from: iso(found.from), until: iso(found.until), schedule: found.schedule };
    else delete status.freeze;
    if (found) wake.push(found.from - FREEZE_SHOWN_MS, found.from, found.until);
    return undefined;
  },
};
