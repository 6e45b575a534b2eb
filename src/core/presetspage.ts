// docs/presets.md: the queries of the presets, from the table that they are taken from.

import { PRESET_MEASURES, PRESET_SERVERS } from "../api/reasons.ts";
import { presetOf } from "./presets.ts";

const HEAD = `# Presets

A check needs no query for what common model servers measure:

\`\`\`yaml
checks:
  - name: errors
    source: prometheus
    preset: {server: vLLM, measure: ErrorRatio}
    threshold: {max: 0.02}
  - name: first-token
    source: prometheus
    preset: {server: vLLM, measure: TimeToFirstTokenP95}
    threshold: {max: 1.5}
\`\`\`

- Times are in seconds. A quantile of a histogram is no better than its buckets.
- \`ErrorRatio\` is a ratio, with \`minSamples\`, \`confidence\` and \`falseAlarm\` as any other.
- A measure that a server has no metric for is refused.
- Each query names one workload of one namespace, by the labels \`namespace\` and \`pod\`. So a MetricSource without \`tenancy\` and without
  \`freeQueries\` answers presets, and nothing else. They work with sources of the types Prometheus and Pods.
- A counter that a server shows only from its first error on is missed by Prometheus at that first time: \`increase\` needs two samples. The Pods source counts it.
`;

/** The whole page. */
export function presetsPage(): string {
  const parts = PRESET_SERVERS.map((server) => {
    const measured = PRESET_MEASURES.flatMap((measure) => {
      const preset = presetOf(server, measure);
      if (!preset) return [];
      const { note, ratio, query } = preset;
      const queries = ratio ? `${ratio.numerator}\n/\n${ratio.denominator}` : query;
      return [`### ${server} ${measure}`, ...(note === "" ? [] : ["", note]), "", "```", queries, "```", ""];
    });
    return [`## ${server}`, "", ...measured].join("\n");
  });
  return `${[HEAD, ...parts].join("\n").trimEnd()}\n`;
}
