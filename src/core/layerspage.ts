// docs/policy-layers.md: how layers are merged, with the table that the merge itself is driven by.

import { MAX_CHECKS } from "./layers.ts";
import { FIELD_RULES, inWords } from "./tighten.ts";

const HEAD = `# Layers of policies

The policy in force for a ModelDeployment is merged from layers:

1. every ClusterRollbackPolicy with \`enforcement: Default\` whose selectors select the deployment (\`namespaceSelector\` by the labels of its namespace, \`selector\` by its own);
2. every ClusterRollbackPolicy with \`enforcement: Required\` that selects it;
3. the deployment's own: the RollbackPolicy or ClusterRollbackPolicy that \`spec.policy\` names, or else the one in \`spec.defaults.policy\` of the RollguardConfig. A cluster policy that is named needs not select the deployment; one that is Required and selects it stays Required.

What no layer says is built in. \`kubectl-rollguard policy show <mdep>\` prints the result, with the layer that each field comes from.

- **Default** layers are where a deployment begins: its own policy may change every field of them. Of two, the later name wins; a check of the same name is replaced as a whole.
- **Required** layers are limits: a lower layer may tighten them, as the table says. What would loosen is left out, and \`status.policy.message\` names it with the layer that forbids it. Of two, the tighter wins; where there is no order, the first by name. They bound the Default layers, too.
- A Required layer that brings checks (or sets \`available\` or \`restarts\`) also keeps \`mode\`, \`warmup\` and the \`actions\` of its severities and higher ones: where it doesn't say them, as the cluster's layers leave them. Otherwise its checks could be made idle.
- A check of the same name tightens the Required one field by field. One that measures something else is refused as a whole: give it another name.
- The API server fills in what an object leaves out (the \`interval\` of a check, say). Such a value where it would loosen a Required one yields without a word, since nobody may have written it.
- There is room for ${MAX_CHECKS} checks beside the built-in ones. Those that don't fit are left out and named, Default ones first.

## When a policy changes, vanishes or becomes invalid

- A change is in force at once, also in a rollout. Only the checks that changed as merged begin their windows, and their part of the bake, anew. Where a check comes from, and the version of Rollguard, don't count as a change.
- The layers in force are kept in a ControllerRevision (\`<deployment>-policy-<hash>\`), so that they survive a restart.
- A policy that the deployment names and that does not exist (any more), or that can't be used, is replaced by the last valid one: \`status.policy.current\` is false, and the message says why. Deleting it is no way to loosen it: it stays in force until another is named, or it is made again. With none ever valid, the built-in checks (and the cluster's layers) are in force, and a Warning event says so.
- A cluster policy that selects the deployment and becomes invalid counts as it last was valid. One that is deleted, or selects it no longer, ends: nobody names it.
- Invalid is what the API server can't see: a cron expression or time zone that does not exist, limits that cross, a window longer than its interval.

## Which way is tighter
`;

/** The whole page. */
export function policyLayersPage(): string {
  const rows = FIELD_RULES.map(
    ({ field, order, kept, why }) => `| \`${field}\` | ${inWords(order)}${kept ? ", kept" : ""} | ${why} |`,
  );
  return [HEAD, "| field | tighter is | why |", "|---|---|---|", ...rows, ""].join("\n");
}
