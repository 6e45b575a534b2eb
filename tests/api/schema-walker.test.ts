// The sandbox's schema walker says what a kube-apiserver says, in its words and its order.
import { describe, expect, it } from "vitest";
import { compileSchema, type Schema } from "../../src/sandbox/apiserver/schema/compile.ts";

const spec = (properties: Record<string, Schema>, more: Schema = {}): Schema => ({
  type: "object",
  properties: { spec: { type: "object", properties, ...more } },
});
const lines = (schema: Schema, value: Record<string, unknown>, old?: Record<string, unknown>): string[] =>
  compileSchema(schema)
    .validate({ spec: value }, old === undefined ? undefined : { spec: old })
    .map(({ field, message }) => `${field}: ${message}`);

const WORDING: [title: string, schema: Schema, value: unknown, line: string][] = [
  ["a wrong type", { type: "integer" }, "a", 'spec.f: Invalid value: "string": spec.f in body must be of type integer: "string"'],
  ["a null", { type: "string" }, null, 'spec.f: Invalid value: "null": spec.f in body must be of type string: "null"'],
  ["a pattern", { type: "string", pattern: "^a$" }, "b", "spec.f: Invalid value: \"b\": spec.f in body should match '^a$'"],
  ["an enum", { type: "string", enum: ["A", "B"] }, "C", 'spec.f: Unsupported value: "C": supported values: "A", "B"'],
  ["too long", { type: "string", maxLength: 2 }, "abc", "spec.f: Too long: may not be more than 2 bytes"],
  [
    "too short",
    { type: "string", minLength: 1 },
    "",
    'spec.f: Invalid value: "": spec.f in body should be at least 1 chars long',
  ],
  [
    "too small",
    { type: "integer", minimum: 1 },
    0,
    "spec.f: Invalid value: 0: spec.f in body should be greater than or equal to 1",
  ],
  [
    "too large",
    { type: "number", maximum: 1 },
    2.5,
    "spec.f: Invalid value: 2.5: spec.f in body should be less than or equal to 1",
  ],
  [
    "too many",
    { type: "array", maxItems: 1, items: { type: "string" } },
    ["a", "b"],
    "spec.f: Too many: 2: must have at most 1 items",
  ],
  [
    "too few",
    { type: "array", minItems: 1, items: { type: "string" } },
    [],
    "spec.f: Invalid value: 0: spec.f in body should have at least 1 items",
  ],
  [
    "a time",
    { type: "string", format: "date-time" },
    "now",
    'spec.f: Invalid value: "now": spec.f in body must be of type date-time: "now"',
  ],
  [
    "a repeated entry of a set",
    { type: "array", items: { type: "string" }, "x-kubernetes-list-type": "set" },
    ["a", "a"],
    'spec.f[1]: Duplicate value: "a"',
  ],
  [
    "a repeated key of a map list",
    {
      type: "array",
      items: { type: "object", properties: { k: { type: "string" }, v: { type: "string" } } },
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["k"],
    },
    [
      { k: "a", v: "1" },
      { k: "a", v: "2" },
    ],
    'spec.f[1]: Duplicate value: {"k":"a"}',
  ],
  [
    "neither a number nor text",
    { "x-kubernetes-int-or-string": true },
    true,
    'spec.f: Invalid value: "boolean": spec.f in body must be of type integer,string: "boolean"',
  ],
];

describe("wording", () => {
  it.each(WORDING)("of %s", (_title, schema, value, line) => {
    expect(lines(spec({ f: schema }), { f: value })).toEqual([line]);
  });

  it("of a missing field", () => {
    expect(lines(spec({ f: { type: "string" } }, { required: ["f"] }), {})).toEqual(["spec.f: Required value"]);
  });
});

describe("pruning", () => {
  const schema = compileSchema(
    spec({
      known: { type: "string" },
      list: { type: "array", items: { type: "object", properties: { a: { type: "string" } } } },
      map: { type: "object", additionalProperties: { type: "object", properties: { a: { type: "string" } } } },
      open: {
        type: "object",
        "x-kubernetes-preserve-unknown-fields": true,
        properties: { closed: { type: "object", properties: {} } },
      },
    }),
  );

  it("removes what is unknown and names it, keeps metadata, and keeps what is open", () => {
    const object = {
      apiVersion: "v1",
      kind: "K",
      metadata: { anything: 1 },
      spec: {
        known: "a",
        un: 1,
        list: [{ a: "x", b: 1 }],
        map: { k: { a: "x", b: 1 } },
        open: { free: { deep: 1 }, closed: { x: 1 } },
      },
      other: 1,
    };
    expect(schema.prune(object).sort()).toEqual(["other", "spec.list[0].b", "spec.map.k.b", "spec.open.closed.x", "spec.un"]);
    expect(object).toEqual({
      apiVersion: "v1",
      kind: "K",
      metadata: { anything: 1 },
      spec: { known: "a", list: [{ a: "x" }], map: { k: { a: "x" } }, open: { free: { deep: 1 }, closed: {} } },
    });
  });

  it("is not fooled by names of Object.prototype", () => {
    const object = JSON.parse('{"spec":{"constructor":1,"toString":2,"__proto__":{"a":1}}}');
    expect(schema.prune(object).sort()).toEqual(["spec.__proto__", "spec.constructor", "spec.toString"]);
    expect(object).toEqual({ spec: {} });
  });
});

describe("defaults", () => {
  const schema = compileSchema(
    spec({
      a: {
        type: "object",
        default: {},
        properties: { b: { type: "integer", default: 1 }, n: { type: "string", nullable: true, default: "x" } },
      },
      list: { type: "array", items: { type: "object", properties: { c: { type: "string", default: "d" } } } },
      none: { type: "object", properties: { b: { type: "integer", default: 1 } } },
    }),
  );

  it("go from the top down, and don't make what has none", () => {
    const object = { spec: { list: [{}, { c: "e" }] } };
    schema.applyDefaults(object);
    expect(object).toEqual({ spec: { a: { b: 1, n: "x" }, list: [{ c: "d" }, { c: "e" }] } });
  });

  it("take the place of a null where null is not allowed, and only there", () => {
    const object = { spec: { a: { b: null, n: null } } };
    schema.applyDefaults(object);
    expect(object).toEqual({ spec: { a: { b: 1, n: null } } });
  });

  it("are copies", () => {
    const [one, two] = [{ spec: {} as { a?: { b?: number } } }, { spec: {} as { a?: { b?: number } } }];
    schema.applyDefaults(one);
    if (one.spec.a) one.spec.a.b = 7;
    schema.applyDefaults(two);
    expect(two.spec.a?.b).toBe(1);
  });
});

describe("rules", () => {
  const rule = (text: string, more = {}): Schema => ({ "x-kubernetes-validations": [{ rule: text, message: "no", ...more }] });

  it("name no object, and the field of fieldPath", () => {
    const schema = spec({ a: { type: "integer" } }, rule("self.a > 1", { fieldPath: ".a" }));
    expect(lines(schema, { a: 1 })).toEqual(["spec.a: Invalid value: no"]);
    expect(lines(schema, { a: 2 })).toEqual([]);
  });

  it("have integers as integers and numbers as numbers, whatever the value looks like", () => {
    expect(lines(spec({ a: { type: "integer" } }, rule("self.a / 2 == 1")), { a: 3 })).toEqual([]);
    expect(lines(spec({ a: { type: "number" } }, rule("self.a / 2.0 == 1.5")), { a: 3 })).toEqual([]);
  });

  it("with oldSelf run on updates only, for the entries with the same key", () => {
    const schema = spec({
      list: {
        type: "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["k"],
        items: { type: "object", properties: { k: { type: "string" }, v: { type: "integer", ...rule("self >= oldSelf") } } },
      },
    });
    const old = { list: [{ k: "a", v: 5 }] };
    expect(lines(schema, { list: [{ k: "a", v: 1 }] })).toEqual([]);
    expect(
      lines(
        schema,
        {
          list: [
            { k: "b", v: 1 },
            { k: "a", v: 4 },
          ],
        },
        old,
      ),
    ).toEqual(["spec.list[1].v: Invalid value: 4: no"]);
    expect(lines(schema, { list: [{ k: "b", v: 1 }] }, old)).toEqual([]);
  });

  it("are not evaluated on an object of the wrong shape, and the answer says so", () => {
    const schema = spec({ a: { type: "integer" }, b: { type: "string" } }, rule("self.a > 1"));
    expect(lines(schema, { a: 1, b: 2 })).toEqual([
      expect.stringContaining("spec.b: "),
      expect.stringMatching(/^<nil>: Invalid value: null: some validation rules were not checked/),
    ]);
  });

  it("that can't be evaluated are errors, not silence", () => {
    expect(lines(spec({ a: { type: "string" } }, rule("self.a == 'x'")), {})).toEqual([
      expect.stringMatching(/^spec: Invalid value: "object": .* evaluating rule: no$/),
    ]);
  });

  it("that don't parse or type-check are refused with the CRD", () => {
    expect(() => compileSchema(spec({}, rule("self.a >")))).toThrow();
    expect(() => compileSchema(spec({}, rule("slef.a > 1")))).toThrow("slef");
    expect(() => compileSchema(spec({}, rule("'a' + 1 == 'b'")))).toThrow("+");
  });

  it("let an old object be where the part that they are on did not change", () => {
    const schema = spec({ a: { type: "string", maxLength: 2, ...rule("self != 'zz'") }, b: { type: "string" } });
    expect(lines(schema, { a: "long", b: "new" }, { a: "long", b: "old" })).toEqual([]);
    expect(lines(schema, { a: "zz", b: "new" }, { a: "zz", b: "old" })).toEqual([]);
    expect(lines(schema, { a: "zz" }, { a: "ok" })).toEqual(['spec.a: Invalid value: "zz": no']);
  });
});
