// The three gates: switch (may the candidate take traffic), prove (has the active one earned it), verify (did the return hold).
// Each answers with the first thing that is missing, in words that a person can act on, or with nothing.

import type { Evidence, Finding } from "./evidence.ts";
import { blockers, describe, nameOf } from "./evidence.ts";
import type { Policy } from "./policy.ts";
import type { Child, ProbeFacts } from "./snapshot.ts";

export interface Missing {
  reason: "PodsNotReady" | "ProbeRunning" | "CheckBreached" | "SourceUnavailable" | "Baking" | "AwaitingData";
  message: string;
}

/**
 * Gate "switch": pods ready, the probe answered, no check of the candidate breached, no Critical source in error.
 * @param sources the evidence of the active revision where it has ready pods, otherwise of the candidate: what its sources say
 */
export function switchGate(input: {
  child: Child | undefined;
  replicas: number;
  probe: ProbeFacts | undefined;
  probeWanted: boolean;
  candidate: Evidence | undefined;
  sources: Evidence | undefined;
  promoted: boolean;
}): Missing | undefined {
  const current = input.child?.current ?? 0;
  if (input.replicas === 0) return { reason: "PodsNotReady", message: "scaled to 0; it takes the traffic when it has pods" };
  if (current < input.replicas) return { reason: "PodsNotReady", message: `${current} of ${input.replicas} pods are ready` };
  if (input.probeWanted && input.probe?.outcome !== "Passed") {
    return { reason: "ProbeRunning", message: input.probe?.message || "the probe inference is running" };
  }
  if (input.promoted) return undefined;
  const blocked = blockers(input.candidate)[0];
  // Without values: these words are in the status, which must not be written with each sample.
  if (blocked) return { reason: "CheckBreached", message: `${nameOf(blocked)} is breached` };
  const dark = (input.sources?.findings ?? []).find(
    (one) => one.check.severity === "Critical" && one.judgement.verdict === "ProviderError",
  );
  if (!dark) return undefined;
  return { reason: "SourceUnavailable", message: `the source of ${dark.check.name} does not answer; see status.checks` };
}

/** A comparison without a baseline is left out of the gates; it is named in the message. */
export function counted(evidence: Evidence | undefined): Finding[] {
  return (evidence?.findings ?? []).filter(
    (one) => one.check.severity === "Critical" && !(one.judgement.verdict === "NoData" && one.judgement.reason === "NoBaseline"),
  );
}

/** Nothing follows from not looking. */
const UNJUDGED: Missing = { reason: "PodsNotReady", message: "it has no pods that could be judged" };

function seconds(ms: number): string {
  return `${Math.floor(ms / 1000)} s`;
}

/** Gate "prove": each Critical check Healthy, with at least `of` conclusive samples that cover the bake by their own timestamps. */
export function proveGate(evidence: Evidence | undefined, policy: Policy): Missing | undefined {
  if (!evidence) return UNJUDGED;
  const findings = counted(evidence);
  for (const one of findings) {
    const { check, judgement } = one;
    if (judgement.verdict === "Breached") return { reason: "CheckBreached", message: describe(one) };
    if (judgement.verdict !== "Healthy") return { reason: "AwaitingData", message: `${check.name}: ${judgement.message}` };
    if (judgement.conclusive < check.breach.of) {
      return { reason: "Baking", message: `${check.name}: ${judgement.conclusive} of ${check.breach.of} conclusive samples` };
    }
  }
  const least = Math.min(...findings.map((one) => one.judgement.coveredMs));
  if (findings.length === 0) return { reason: "AwaitingData", message: "no Critical check can be judged" };
  if (least >= policy.bakeMs) return undefined;
  return { reason: "Baking", message: `${seconds(least)} of ${seconds(policy.bakeMs)} baked` };
}

/** Gate "verify": each Critical check has `of` conclusive samples after the return and none is breached, and `verify` has passed. */
export function verifyGate(evidence: Evidence | undefined, policy: Policy, restoredForMs: number): Missing | undefined {
  if (!evidence) return UNJUDGED;
  for (const one of counted(evidence)) {
    if (one.judgement.verdict === "Breached") return { reason: "CheckBreached", message: describe(one) };
    if (one.judgement.conclusive < one.check.breach.of) {
      const { conclusive, message } = one.judgement;
      return {
        reason: "AwaitingData",
        message: `${one.check.name}: ${conclusive} of ${one.check.breach.of} conclusive samples; ${message}`,
      };
    }
  }
  if (restoredForMs >= policy.verifyMs) return undefined;
  return { reason: "Baking", message: `${seconds(restoredForMs)} of ${seconds(policy.verifyMs)} verified` };
}
