// What is not as it should be around a deployment: names that somebody else has, decision numbers that are not ours.

import { held, type Rule, tell } from "../context.ts";
import { stall } from "../stalls.ts";

/** A Service or child that another owner controls, or nobody, is not touched. */
export const nameTaken: Rule = {
  name: "name-taken",
  apply(context) {
    const message = context.snapshot.nameTaken;
    if (message === undefined) return undefined;
    stall(context, "NameTaken", message);
    return held("NameTaken", message);
  },
};

/** A Service or child carries a higher decision number than the status: the status was lost, or the number was edited. The counter is set above it, so that our next write is the newest; what it should be follows from the status as ever. */
export const repairDecision: Rule = {
  name: "repair-decision",
  apply(context) {
    const { status, snapshot } = context;
    const services = [snapshot.active, snapshot.preview, snapshot.route]
      .filter((one) => one?.owner === "Ours")
      .map((one) => one?.decision ?? 0);
    const seen = Math.max(0, ...services, ...snapshot.children.filter((child) => !child.foreign).map((child) => child.decision));
    if (seen <= (status.decision ?? 0)) return undefined;
    status.decision = seen + 1;
    tell(
      context,
      "Warning",
      "DecisionRepaired",
      `decision number ${seen} on a child is not ours; counting on from ${status.decision}`,
      String(seen),
    );
    return undefined;
  },
};

/** Content that a foreign hand deleted and that is nowhere any more is told, not replaced. */
export const lostContent: Rule = {
  name: "lost-content",
  apply(context) {
    for (const { revision, version, lost } of context.snapshot.revisions) {
      if (lost === undefined) continue;
      const note = `r${revision} (${version}) lost ${lost}: a ConfigMap that was deleted and whose content is nowhere any more. Nothing is put in its place; pods of r${revision} can't be started again, and it is no target of a return`;
      tell(context, "Warning", "ConfigMapLost", note, `${revision}-${lost}`);
    }
    return undefined;
  },
};
