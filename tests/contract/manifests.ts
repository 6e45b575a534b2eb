// Bad manifests are refused by an API server as a person meets it, and the good ones are taken: through the generated CRDs,
// over the API, with strict field validation as kubectl asks for it. One suite for the sandbox and for a real server.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { badFiles, changed, goodManifests, type Manifest, readYaml } from "../api/manifests.ts";
import { Api, type Connection, eventually, type Json } from "./client.ts";

const STRICT = { fieldValidation: "Strict" };
const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/** Registers the suite for one server, which must not have our kinds yet. */
export function describeManifests(name: string, connect: () => Promise<Connection>): void {
  describe(name, () => {
    let api: Api;
    const paths = new Map<string, (manifest: Manifest) => string>();

    beforeAll(async () => {
      api = new Api(await connect(), "default");
      for (const file of readdirSync(join(import.meta.dirname, "../../crds")).filter((name) => name.endsWith(".yaml"))) {
        const crd: Json = readYaml(`crds/${file}`);
        await api.ok("POST", CRDS, { body: crd });
        const { group, scope, names, versions } = crd.spec;
        const root = `/apis/${group}/${versions[0].name}`;
        await eventually(
          () => api.call("GET", `${root}/${names.plural}`),
          ({ status }) => status === 200,
        );
        paths.set(names.kind, ({ metadata }) => {
          const namespace = scope === "Namespaced" ? `namespaces/${metadata.namespace}/` : "";
          return `${root}/${namespace}${names.plural}`;
        });
      }
      const manifests = [...goodManifests(), "tests/fixtures/rolloutrecord.yaml"].map((path) => readYaml<Manifest>(path));
      for (const name of new Set(manifests.map(({ metadata }) => metadata.namespace ?? "default"))) {
        await api.call("POST", "/api/v1/namespaces", { body: { metadata: { name } } });
      }
    });

    afterAll(() => api?.connection.close());

    const pathOf = (manifest: Manifest): string => paths.get(manifest.kind)?.(manifest) ?? "";

    test.each([...goodManifests(), "tests/fixtures/rolloutrecord.yaml"])("%s is taken", async (path) => {
      const manifest = readYaml<Manifest>(path);
      await api.ok("POST", pathOf(manifest), { body: manifest, query: { ...STRICT, dryRun: "All" } });
    });

    describe.each(badFiles())("%s", (_kind, file) => {
      const good = readYaml<Manifest>(file.good);

      test.each(file.bad)("refuses $title", async (shape) => {
        const bad = changed(good, shape);
        // The name is part of what may be wrong, and would be encoded in a path; a POST has it in the body only.
        const { status, body } = await api.call("POST", pathOf(good), { body: bad, query: STRICT });
        expect([400, 422]).toContain(status);
        expect(body.message).toContain(shape.field);
        expect(body.message).toContain(shape.words);
      });

      test.each(file.updates ?? [])("refuses a change: $title", async (shape) => {
        const path = `${pathOf(good)}/${good.metadata.name}`;
        const { body: found, status: there } = await api.call("GET", path);
        const live = there === 200 ? found : await api.ok("POST", pathOf(good), { body: good });
        const { status, body } = await api.call("PUT", path, { body: changed(live, shape), query: STRICT });
        expect(status).toBe(422);
        expect(body.message).toContain(shape.field);
        expect(body.message).toContain(shape.words);
      });
    });
  });
}
