// Label selectors as Kubernetes means them: every requirement must hold, and an absent selector selects everything.

import type { LabelSelector } from "../api/clusterrollbackpolicy.ts";

type Requirement = NonNullable<LabelSelector["matchExpressions"]>[number];

function holds({ key, operator, values = [] }: Requirement, labels: Readonly<Record<string, string>>): boolean {
  const value = labels[key];
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      // Also where there is no such label: that is what Kubernetes does.
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
  }
}

/** @param labels of the object; undefined is the same as none */
export function selects(selector: LabelSelector | undefined, labels: Readonly<Record<string, string>> | undefined): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector ?? {};
  const present = labels ?? {};
  return (
    Object.entries(matchLabels).every(([key, value]) => present[key] === value) &&
    matchExpressions.every((one) => holds(one, present))
  );
}
