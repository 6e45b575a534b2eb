// `matrix`: a policy as a matrix of situations and what happens in each, from a file or as it is in force for a deployment.
import { resolvePolicy } from "../core/resolve.ts";
import { type Matrix, matrix } from "../trial/matrix.ts";
import { columns, matrixHtml, matrixMarkdown, numbers } from "../trial/matrix-pages.ts";
import { markNow } from "../trial/present.ts";
import { CliError, EXIT, type Io } from "./io.ts";
import { onePolicy, readManifests } from "./manifests.ts";
import type { MatrixFormat, MatrixOptions } from "./matrix-formats.ts";
import { type Cell, cell, document, type Style, type Tone, table } from "./output.ts";
import { policyInForce } from "./policy-in-force.ts";
import { findDeployment, unknownDeployment, withSession } from "./session.ts";

const HEAD = ["CHECK", "WHEN", "DATA", "STANDBY", "IN THE WAY", "WHAT HAPPENS", "WITHIN", "WHY"];

/** Exactly one of a file and a name. */
export async function matrixCommand(name: string | undefined, options: MatrixOptions, io: Io): Promise<number> {
  const { output: format = "table", filename, ...common } = options;
  if ((name === undefined) === (filename === undefined))
    throw new CliError("name a ModelDeployment, or a policy with -f policy.yaml", [], EXIT.usage);
  if (filename !== undefined) {
    const policy = onePolicy(filename);
    const deployment = readManifests([filename]).find((one) => one.object.kind === "ModelDeployment")?.object;
    const spec = deployment?.kind === "ModelDeployment" ? deployment.spec : undefined;
    const title = `${policy.kind}/${policy.metadata.name}`;
    io.out(render(matrix(title, resolvePolicy(policy.spec), spec), format, io));
    return EXIT.ok;
  }
  return withSession(common, io, async (session) => {
    const mdep = await findDeployment(session, name ?? "");
    if (!mdep) throw await unknownDeployment(session, name ?? "");
    const inForce = await policyInForce(session, mdep);
    const title = `${mdep.metadata.namespace}/${mdep.metadata.name}: ${inForce.name}`;
    const made = matrix(title, inForce.policy, mdep.spec);
    io.out(render(markNow(made, mdep, inForce.policy, session.client.serverNow()), format, io));
    return EXIT.ok;
  });
}

function render(of: Matrix, format: MatrixFormat, io: Io): string {
  switch (format) {
    case "json":
    case "yaml":
      return document(of, format);
    case "markdown":
      return matrixMarkdown(of);
    case "html":
      return matrixHtml(of);
    default:
      return text(of, { terminal: io.terminal, color: io.color, width: io.width, wide: format === "wide" });
  }
}

const TONES: Readonly<Record<string, Tone>> = {
  Returns: "good",
  Rejects: "good",
  Proves: "good",
  Switches: "good",
  Stalls: "bad",
  Holds: "unsure",
  Recommends: "unsure",
  Observes: "unsure",
  Tells: "unsure",
};

function text(of: Matrix, style: Style): string {
  const marked = of.rows.some((row) => row.now);
  const rows = of.rows.map((row): Cell[] => {
    const cells = columns(row, of).map((one, index) => cell(one, index === 5 ? (TONES[row.outcome] ?? "plain") : "plain"));
    // A narrow screen has room for the reason, a wide one for the words.
    if (!style.wide) cells[7] = cell(row.reason);
    return [...(marked ? [cell(row.now ? "→" : " ", "unsure")] : []), ...cells];
  });
  const head = marked ? ["NOW", ...HEAD] : HEAD;
  const about = [of.name, ...numbers(of).map((one) => `  ${one}`)].join("\n");
  const more = style.wide ? "" : "-o wide tells why in the operator's own words; -o markdown, html and json are for passing on\n";
  return `${about}\n\n${table(head, rows, style)}\n${of.situations} situations, each decided by the operator's own code\n${more}`;
}
