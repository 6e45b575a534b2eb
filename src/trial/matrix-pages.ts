// A matrix as Markdown and as one HTML page that needs nothing else. Whatever a policy holds, it is text here and never markup.

import {
  checksText,
  dataText,
  limitersText,
  type Matrix,
  type MatrixRow,
  momentsText,
  standbyText,
  timeText,
  withinText,
} from "./matrix.ts";
import { OUTCOMES, type Outcome } from "./outcome.ts";
import { LIMITERS, MOMENTS, STANDBYS } from "./situations.ts";

const HEAD = ["check", "when", "data", "standby", "in the way", "what happens", "within", "why"] as const;

/** The columns of a row, for every form of it. */
export function columns(row: MatrixRow, of: Matrix): string[] {
  return [
    checksText(row, of),
    momentsText(row),
    dataText(row),
    standbyText(row),
    limitersText(row),
    row.outcome,
    withinText(row),
    // Of what is only shown, the verdict says it; its words are in the JSON.
    SHOWN.has(row.outcome) ? row.reason : `${row.reason}: ${row.message}`,
  ];
}

const SHOWN: ReadonlySet<Outcome> = new Set(["Nothing", "Proves", "Switches", "Tells"]);

/** What the policy's own numbers are, a line each. */
export function numbers({ policy, checks }: Matrix): string[] {
  const { mode, warmupMs, bakeMs, verifyMs, cooldownMs, budget, maxDepth, deadlineMs } = policy;
  return [
    `mode ${mode}, warmup ${timeText(warmupMs)}, bake ${timeText(bakeMs)}, verify ${timeText(verifyMs)}, deadline ${timeText(deadlineMs)}`,
    `cooldown ${timeText(cooldownMs)}, budget ${budget.limit} per ${timeText(budget.perMs)}, maxDepth ${maxDepth}`,
    ...checks.map(
      ({ name, severity, action, every, breach }) =>
        `${name}: ${severity} (${action}), every ${timeText(every)}, breached by ${breach.count} of ${breach.of}`,
    ),
  ];
}

const cellMarkdown = (text: string) =>
  text.replaceAll("\\", "\\\\").replaceAll("|", "\\|").replaceAll("<", "&lt;").replaceAll("\n", " ");

/** @param level of its heading */
export function matrixMarkdown(of: Matrix, level = 1): string {
  const mark = of.rows.some((row) => row.now);
  const head = mark ? ["now", ...HEAD] : [...HEAD];
  const line = (parts: readonly string[]) => `| ${parts.map(cellMarkdown).join(" | ")} |`;
  const rows = of.rows.map((row) => line([...(mark ? [row.now ? "→" : ""] : []), ...columns(row, of)]));
  return [
    `${"#".repeat(level)} ${cellMarkdown(of.name)}`,
    "",
    ...numbers(of).map((one) => `- ${cellMarkdown(one)}`),
    "",
    line(head),
    line(head.map(() => "---")),
    ...rows,
    "",
  ].join("\n");
}

/** What the words of the columns mean. */
export function legendMarkdown(): string {
  const list = (title: string, words: Readonly<Record<string, string>>) => [
    `**${title}**`,
    "",
    ...Object.entries(words).map(([word, meaning]) => `- \`${word}\`: ${meaning}`),
    "",
  ];
  return [
    ...list("When", MOMENTS),
    ...list("Standby", STANDBYS),
    ...list("In the way", LIMITERS),
    ...list("What happens", OUTCOMES),
  ].join("\n");
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** Text for HTML, also inside of a quoted attribute. */
export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (char) => ENTITIES[char] ?? "");

const STYLE = `body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:80rem;padding:0 1rem;color:#1b1f24}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #d9dee3;vertical-align:top}
th{position:sticky;top:0;background:#fff}tr.now{background:#fff5d6}code{background:#f2f4f6;padding:0 .25em}
@media(prefers-color-scheme:dark){body,th{background:#14171a;color:#e4e7ea}th,td{border-color:#333a41}tr.now{background:#3a3213}code{background:#23282d}}`;

/** One page without scripts, fonts or anything else from elsewhere. */
export function matrixHtml(of: Matrix): string {
  const words = (title: string, list: Readonly<Record<string, string>>) =>
    `<h2>${escapeHtml(title)}</h2><ul>${Object.entries(list)
      .map(([word, meaning]) => `<li><code>${escapeHtml(word)}</code>: ${escapeHtml(meaning)}</li>`)
      .join("")}</ul>`;
  const rows = of.rows.map((row) => {
    const cells = columns(row, of).map((text) => `<td>${escapeHtml(text)}</td>`);
    return `<tr${row.now ? ' class="now" aria-current="true"' : ""}>${cells.join("")}</tr>`;
  });
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escapeHtml(of.name)}</title><style>${STYLE}</style></head><body>
<h1>${escapeHtml(of.name)}</h1>
<ul>${numbers(of)
    .map((one) => `<li>${escapeHtml(one)}</li>`)
    .join("")}</ul>
<table><thead><tr>${HEAD.map((title) => `<th>${title}</th>`).join("")}</tr></thead>
<tbody>
${rows.join("\n")}
</tbody></table>
${words("When", MOMENTS)}${words("Standby", STANDBYS)}${words("In the way", LIMITERS)}${words("What happens", OUTCOMES)}
</body></html>
`;
}
