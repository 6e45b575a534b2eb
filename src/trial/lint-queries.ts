// Lint rules about what a check asks, and whom.

import { isDeepStrictEqual } from "node:util";
import type { Check } from "../api/rollbackpolicy.ts";
import { parseQuery, syntaxErrorAt } from "../signals/promql/parse.ts";
import { expandPromql, expandUrl, TemplateError } from "../signals/template.ts";
import type { Found, LintRule, PolicySubject } from "./lint-rule.ts";

/** Stands in for the variables, so that what they make can be parsed. */
const SAMPLE = { namespace: "ns", name: "name", version: "name-1.0.0", revision: "1", window: "1m", workload: "name-r1" };

interface Text {
  path: string;
  text: string;
  check: Check;
  /** The type of its source, where it is known. */
  type: "Prometheus" | "Web" | "Pods" | undefined;
}

/** Every query text of the policy. Presets are ours, and right. */
function texts({ spec, sources }: PolicySubject): Text[] {
  return (spec.checks ?? []).flatMap((check, index) => {
    const at = `spec.checks[${index}]`;
    const type = sources?.get(check.source)?.type;
    const all: [string, string | undefined][] = [
      [`${at}.query`, check.query],
      [`${at}.ratio.numerator`, check.ratio?.numerator],
      [`${at}.ratio.denominator`, check.ratio?.denominator],
      [`${at}.freshness`, check.freshness],
    ];
    return all.flatMap(([path, text]) => (text === undefined ? [] : [{ path, text, check, type }]));
  });
}

function expand({ text, type }: Text): { text?: string; problem?: string } {
  try {
    return { text: type === "Web" ? expandUrl(text, SAMPLE) : expandPromql(text, SAMPLE) };
  } catch (error) {
    if (error instanceof TemplateError) return { problem: error.message };
    throw error;
  }
}

function syntaxOf(one: Text): string | undefined {
  const { text } = expand(one);
  if (text === undefined || one.type === "Web") return undefined;
  const at = syntaxErrorAt(text);
  if (at !== undefined)
    return `PromQL syntax error at character ${at + 1}, near ${JSON.stringify(text.slice(Math.max(at - 10, 0), at + 10))}`;
  if (one.type !== "Pods") return undefined;
  try {
    parseQuery(text);
    return undefined;
  } catch (error) {
    return `the source scrapes pods and can't evaluate it: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function checksWhere({ spec }: PolicySubject, message: (check: Check) => string | undefined): Found[] {
  return (spec.checks ?? []).flatMap((check, index) => {
    const words = message(check);
    return words === undefined ? [] : [{ path: `spec.checks[${index}].source`, message: words }];
  });
}

export const QUERY_RULES: readonly LintRule<PolicySubject>[] = [
  {
    id: "query-without-workload",
    severity: "Error",
    about: "A query without `${workload}` judges the old and the new revision together.",
    mend: 'select one revision, such as pod=~"${workload}-.+"',
    find: (subject) =>
      texts(subject)
        // A source that scrapes the revision's own pods sees no others.
        .filter(({ text, type }) => type !== "Pods" && !text.includes("${workload}"))
        .map(({ path }) => ({ path, message: "it does not name ${workload}, so both versions are judged together" })),
  },
  {
    id: "unknown-variable",
    severity: "Error",
    about: "A variable that does not exist, or stands where its value can't.",
    mend: "use ${namespace}, ${name}, ${version}, ${revision}, ${window} or ${workload}, in quotes where it is text",
    find: (subject) =>
      texts(subject).flatMap((one) => {
        const { problem } = expand(one);
        return problem === undefined ? [] : [{ path: one.path, message: problem }];
      }),
  },
  {
    id: "query-syntax",
    severity: "Error",
    about: "A query that the source's parser refuses: the check would be ProviderError for ever, and nothing could be proven.",
    mend: "correct the query at the place that is named",
    find: (subject) =>
      texts(subject).flatMap((one) => {
        const message = syntaxOf(one);
        return message === undefined ? [] : [{ path: one.path, message }];
      }),
  },
  {
    id: "source-missing",
    severity: "Error",
    about: "A check names a MetricSource that does not exist.",
    mend: "name one that exists, or ask the platform team for it",
    find: (subject) =>
      checksWhere(subject, ({ source }) => {
        if (!subject.sources || subject.sources.has(source)) return undefined;
        return `there is no MetricSource ${source}; there are ${[...subject.sources.keys()].sort().join(", ") || "none"}`;
      }),
  },
  {
    id: "source-not-allowed",
    severity: "Error",
    about: "A check names a MetricSource that its namespace may not use, or that answers no free queries.",
    mend: "ask the platform team to add the namespace, spec.tenancy or spec.freeQueries to the source, or use a preset",
    find: (subject) =>
      checksWhere(subject, ({ source, preset }) => {
        const spec = subject.sources?.get(source);
        if (!spec) return undefined;
        const { namespace } = subject;
        const { namespaces } = spec;
        if (namespace !== undefined && !namespaces.includes("*") && !namespaces.includes(namespace))
          return `the MetricSource ${source} may not be used in the namespace ${namespace}`;
        if (spec.type === "Pods" || spec.tenancy || spec.freeQueries || preset) return undefined;
        return `the MetricSource ${source} answers presets only: it has neither tenancy nor freeQueries`;
      }),
  },
  {
    id: "duplicate-query",
    severity: "Warning",
    about: "Two checks ask the same and have the same limits: one breach counts twice, and one can be forgotten in a change.",
    mend: "remove one of them",
    find: ({ spec }) => {
      const checks = spec.checks ?? [];
      const asks = ({ name: _name, ...rest }: Check) => rest;
      return checks.flatMap((check, index) => {
        const earlier = checks.slice(0, index).find((one) => isDeepStrictEqual(asks(one), asks(check)));
        return earlier ? [{ path: `spec.checks[${index}]`, message: `${check.name} is the same as ${earlier.name}` }] : [];
      });
    },
  },
];
