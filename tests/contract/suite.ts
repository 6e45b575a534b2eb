// What an API server does, as one suite that runs against the sandbox and, with its URL and certificates, against a real one.
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe } from "vitest";
import { applyTests } from "./apply.ts";
import { Api, type Connection, eventually } from "./client.ts";
import { customTests } from "./custom.ts";
import { GROUP, WIDGETS } from "./fixtures.ts";
import { garbageTests } from "./garbage.ts";
import { kindTests } from "./kinds.ts";
import { listTests } from "./lists.ts";
import { objectTests } from "./objects.ts";
import { patchTests } from "./patches.ts";
import { watchTests } from "./watches.ts";

/** Registers the suite for one server. It works in a namespace of its own, and leaves its CRD and that namespace deleted. */
export function describeApiServer(name: string, connect: () => Promise<Connection>): void {
  describe(name, () => {
    let api: Api | undefined;
    const get = () => {
      if (api === undefined) throw new Error("not connected");
      return api;
    };

    beforeAll(async () => {
      const connection = await connect();
      api = new Api(connection, `contract-${randomBytes(4).toString("hex")}`);
      await api.ok("POST", "/api/v1/namespaces", {
        body: { apiVersion: "v1", kind: "Namespace", metadata: { name: api.namespace } },
      });
      await api.ok("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", { body: WIDGETS });
      await eventually(
        () => get().call("GET", `/apis/${GROUP}/v1/widgets`),
        (answer) => answer.status === 200,
      );
    });

    afterAll(async () => {
      if (api === undefined) return;
      await api.ok("DELETE", `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${WIDGETS.metadata.name}`);
      await api.ok("DELETE", `/api/v1/namespaces/${api.namespace}`);
      await api.connection.close();
    });

    describe("objects", () => objectTests(get));
    describe("lists and tables", () => listTests(get));
    describe("patches", () => patchTests(get));
    describe("server-side apply", () => applyTests(get));
    describe("watches", () => watchTests(get));
    describe("custom resources", () => customTests(get));
    describe("built-in kinds", () => kindTests(get));
    describe("garbage collection", () => garbageTests(get));
  });
}
