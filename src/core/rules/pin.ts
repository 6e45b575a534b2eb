// What the pin asks for: a new candidate, the one that serves already, one that is quarantined, or nothing usable.

import { VERSION_WAIT_MS } from "../../api/defaults.ts";
import { acted, type Context, held, iso, isQuarantined, type Outcome, type Rule, returning, tell } from "../context.ts";
import { versionHash } from "../hash.ts";
import type { Pin, RevisionRef } from "../snapshot.ts";
import { endStall, stall } from "../stalls.ts";
import { closeRollout, openRollout } from "../transitions.ts";

/** The revision that has this content already, or the next free number; numbers are never used twice for a name. */
export function numberFor(context: Context, hash: string): number {
  const { snapshot, status } = context;
  const known = snapshot.revisions.find((one) => one.hash === hash);
  if (known) return known.revision;
  const entries = [status.active, status.candidate, status.standby, status.lastHealthy, ...(status.quarantine ?? [])];
  const same = entries.find((entry) => entry?.hash === hash);
  if (same) return same.revision;
  const used = [
    ...snapshot.revisions.map((one) => one.revision),
    ...entries.map((entry) => entry?.revision ?? 0),
    ...snapshot.children.map((child) => child.revision),
    ...(status.history ?? []).map((entry) => entry.to?.revision ?? 0),
  ];
  return Math.max(snapshot.floor.revision, 0, ...used) + 1;
}

function unusable(pin: Exclude<Pin, { state: "Usable" }>): { reason: string; message: string } {
  switch (pin.state) {
    case "Missing": {
      const known =
        pin.known.length > 0 ? `this model has ${pin.known.slice(0, 10).join(", ")}` : "this model has no version yet";
      return {
        reason: "WaitingForVersion",
        message: `spec.version: there is no ModelVersion ${pin.version} in this namespace; ${known}`,
      };
    }
    case "ConfigMapMissing":
      return {
        reason: "WaitingForConfigMap",
        message: `spec.template names ConfigMaps that are not there: ${pin.names.slice(0, 5).join(", ")}`,
      };
    case "OtherModel":
      return {
        reason: "OtherModel",
        message: `spec.version: ${pin.version} is a version of the model ${pin.model}, not of spec.model`,
      };
    case "Revoked":
      return {
        reason: "VersionRevoked",
        message: `spec.version: ${pin.version} is revoked${pin.by === undefined ? "" : ` by ${pin.by}`}; pin another version`,
      };
  }
}

function waitForPin(context: Context, pin: Exclude<Pin, { state: "Usable" }>): Outcome {
  const { status, now } = context;
  const { reason, message } = unusable(pin);
  // A candidate whose version was revoked or is another model's must not get any traffic, whatever it was when it began.
  const lost = pin.state === "Revoked" || pin.state === "OtherModel";
  if (status.rollout && status.candidate && (lost || status.candidate.version !== pin.version)) {
    closeRollout(
      context,
      "Superseded",
      lost ? reason : "NewerPin",
      lost ? message : `superseded by the pin ${pin.version}, which is not usable yet`,
    );
  }
  const same = status.pending?.reason === reason && status.pending.version === pin.version;
  status.pending =
    same && status.pending ? { ...status.pending, message } : { reason, version: pin.version, message, since: iso(now) };
  const waits = pin.state === "Missing" || pin.state === "ConfigMapMissing";
  const overdue = !waits || now - Date.parse(status.pending.since) >= VERSION_WAIT_MS;
  if (!overdue) context.wake.push(Date.parse(status.pending.since) + VERSION_WAIT_MS);
  else if (!status.pending.overdue) {
    status.pending.overdue = true;
  }
  return held(reason, message);
}

/** A pin that names no usable version touches nothing that serves. */
export const unusablePin: Rule = {
  name: "unusable-pin",
  apply(context) {
    const { pin } = context.snapshot;
    if (pin.state !== "Usable") return waitForPin(context, pin);
    delete context.status.pending;
    return undefined;
  },
};

/** A ModelVersion that was made again under its name with other content waits for a person. */
export const contentChanged: Rule = {
  name: "version-content-changed",
  apply(context) {
    const { status, snapshot } = context;
    const { pin } = snapshot;
    const { desired } = status;
    if (desired?.version !== pin.version) return undefined;
    if (pin.state === "Usable") {
      desired.versionHash ??= versionHash(pin.content);
      if (desired.versionHash !== versionHash(pin.content))
        desired.remade =
          desired.artifactDigest === pin.artifactDigest ? "other settings" : `other weights (${pin.artifactDigest})`;
    }
    // Kept when what it was comes back: of a version that changes under its name, a person says what is meant.
    if (desired.remade === undefined) return undefined;
    const message = `the ModelVersion ${pin.version} was made again with ${desired.remade}; retry it or pin another version`;
    stall(context, "VersionContentChanged", message);
    return held("VersionContentChanged", message);
  },
};

/** A new hash becomes the candidate; going back to the active one's cancels; a quarantined one stays where it is. */
export const newPin: Rule = {
  name: "new-pin",
  apply(context) {
    const { status, snapshot, now } = context;
    const { pin } = snapshot;
    if (pin.state !== "Usable" || context.held.some((one) => one.rule === "version-content-changed")) return undefined;
    const previous = status.desired;
    const revision = numberFor(context, pin.hash);
    const moved = previous?.hash !== pin.hash;
    if (moved || previous?.version !== pin.version) {
      status.desired = {
        version: pin.version,
        revision,
        hash: pin.hash,
        artifactDigest: pin.artifactDigest,
        since: iso(now),
        standing: "Unproven",
        versionHash: versionHash(pin.content),
      };
    }
    warnOfDeprecation(context, pin);
    const known = snapshot.revisions.find((one) => one.hash === pin.hash);
    if (known?.revoked && status.active?.hash !== pin.hash) {
      const message = `the content of ${pin.version} is r${known.revision}, which was revoked as ${known.version}; pin another version`;
      if (status.candidate?.hash === pin.hash) closeRollout(context, "Superseded", "VersionRevoked", message);
      stall(context, "VersionRevoked", message);
      return held("VersionRevoked", message);
    }
    if (status.candidate?.hash === pin.hash) return undefined;
    if (status.active?.hash === pin.hash) return cancel(context);
    // It is on its way already, as the target of the return.
    if (returning(status) && status.rollback?.to?.hash === pin.hash) return undefined;
    if (isQuarantined(status, pin.hash)) {
      if (status.rollout && status.candidate)
        closeRollout(context, "Superseded", "PinQuarantined", `${pin.version} is pinned, which is quarantined`);
      return undefined;
    }
    if (status.paused || snapshot.deployment.spec.paused) return held("Paused", `paused; would roll out ${pin.version}`);
    const standing = known?.provenAt ? "Proven" : "Unproven";
    const candidate: RevisionRef = {
      version: pin.version,
      revision,
      hash: pin.hash,
      artifactDigest: pin.artifactDigest,
      since: iso(now),
      standing,
      ...(known?.provenAt ? { provenAt: known.provenAt } : {}),
      judgedFrom: iso(now),
    };
    openRollout(context, candidate, previous && previous.version === pin.version && moved ? "ConfigChange" : "Pin");
    return acted("RolloutStarted", `r${revision} (${pin.version}) is brought up`);
  },
};

/** Once a pin: when it is set, or when its version is deprecated afterwards. */
function warnOfDeprecation(context: Context, pin: Extract<Pin, { state: "Usable" }>): void {
  const { desired } = context.status;
  if (!desired) return;
  if (!pin.deprecated) delete desired.deprecated;
  else if (!desired.deprecated) {
    desired.deprecated = true;
    const note = `${pin.version} is deprecated; it goes on being served, and another version should be pinned`;
    tell(context, "Warning", "DeprecatedVersion", note, `${pin.hash}-${desired.since}`);
  }
}

function cancel(context: Context): Outcome {
  const { status } = context;
  if (!status.rollout || !status.candidate) return undefined;
  const message = `the pin went back to r${status.active?.revision}, which serves`;
  closeRollout(context, "Cancelled", "PinWentBack", message);
  endStall(context, "Serving");
  return acted("RolloutCancelled", message);
}
