// What of charts/rollguard is made from something else, so that it can't differ: values and their documentation from values.ts, the
// rules of RBAC, the users' roles and the admission policies from manifests/, the CustomResourceDefinitions from crds/. Pure.
import { dump, loadAll } from "js-yaml";
import { z } from "zod";
import { Values } from "./values.ts";

interface Node {
  description?: string;
  default?: unknown;
  properties?: Record<string, Node>;
}

interface Role {
  kind: string;
  metadata: { name: string };
  rules: unknown[];
}

const BY = "Made by npm run generate from scripts/chart/values.ts.";

/**
 * Path within the repository → content.
 * @param read the content of a file of the repository
 * @param crds file names in crds/
 */
export function chartFiles(read: (path: string) => string, crds: readonly string[]): Map<string, string> {
  const schema = z.toJSONSchema(Values, { target: "draft-7", io: "input" }) as Node;
  const files = new Map<string, string>();
  const add = (name: string, content: string) => files.set(`charts/rollguard/${name}`, content);
  add("values.schema.json", `${JSON.stringify(schema, null, 2)}\n`);
  add("values.yaml", `# biome-ignore-all format: ${BY}\n${valuesYaml(schema, "")}`);
  add("README.md", readme(schema));
  add("templates/_rules.tpl", rulesTemplate(read));
  add("templates/user-roles.yaml", switched(".Values.userRoles.create", read("manifests/user-roles/user-roles.yaml")));
  add(
    "templates/protect-versions.yaml",
    switched(".Values.admission.protectVersions", read("manifests/admission/protect-versions.yaml")),
  );
  add("templates/record-pins.yaml", switched(".Values.admission.recordPins", read("manifests/admission/record-pins.yaml")));
  for (const name of crds) add(`files/crds/${name}`, read(`crds/${name}`));
  return files;
}

function valuesYaml(node: Node, indent: string): string {
  const lines = Object.entries(node.properties ?? {}).map(([name, inner]) => {
    const comment = wrap(inner.description ?? "", 110 - indent.length).map((line) => `${indent}# ${line}\n`);
    const value = inner.properties
      ? `${indent}${name}:\n${valuesYaml(inner, `${indent}  `)}`
      : dump({ [name]: inner.default }, { lineWidth: 120 }).replace(/^(?=.)/gm, indent);
    return comment.join("") + value;
  });
  return lines.join("");
}

function wrap(words: string, width: number): string[] {
  const lines = [""];
  for (const word of words.split(" ")) {
    const line = lines.at(-1) ?? "";
    if (line !== "" && line.length + word.length >= width) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines;
}

function rows(node: Node, path: string): string[] {
  return Object.entries(node.properties ?? {}).flatMap(([name, inner]) => {
    const here = path === "" ? name : `${path}.${name}`;
    if (inner.properties) return rows(inner, here);
    return [`| \`${here}\` | \`${JSON.stringify(inner.default)}\` | ${inner.description ?? ""} |`];
  });
}

function readme(schema: Node): string {
  return `# Rollguard's chart

\`\`\`sh
helm install rollguard charts/rollguard --namespace rollguard-system --create-namespace --set image.repository=registry.example.com/rollguard
\`\`\`

How to install, upgrade and uninstall: [installing](../../docs/install.md), [in production](../../docs/production.md). Sets of values that are tested: \`ci/\`.

## Values

${BY}

| value | default | what it is |
|---|---|---|
${rows(schema, "").join("\n")}
`;
}

/** The rules of the operator's roles, each as a template \`rollguard.rules.<name>\`; with their comments left out. */
function rulesTemplate(read: (path: string) => string): string {
  const files = ["cluster-role.yaml", "cluster-scope.yaml", "own-namespace.yaml"];
  const roles = files.flatMap((name) => loadAll(read(`manifests/base/${name}`)) as Role[]).filter(({ rules }) => rules);
  const definitions = roles.map(
    ({ metadata, rules }) =>
      `{{- define "rollguard.rules.${metadata.name}" -}}\n${dump(rules, { flowLevel: 2, lineWidth: -1 })}{{- end -}}\n`,
  );
  return `{{/* Made by npm run generate from manifests/base: what these rules are for is said there. */}}\n${definitions.join("")}`;
}

function switched(value: string, content: string): string {
  return `{{- /* Made by npm run generate from manifests/. */}}\n{{- if ${value} }}\n${content}{{- end }}\n`;
}
