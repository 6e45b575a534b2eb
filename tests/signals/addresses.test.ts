// Where no request may go: however the address is written, whatever a name leads to, and whoever asks.

import type { LookupAddress } from "node:dns";
import { Agent } from "undici";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { addressProblem, guardedLookup, hostProblem } from "../../src/signals/addresses.ts";
import { exchange } from "../../src/signals/http.ts";
import { answering, serve, type TestServer } from "./server.ts";
import { one, scalar, source } from "./support.ts";

let server: TestServer;
beforeAll(async () => {
  server = await serve(answering({ body: one(1) }));
});
afterAll(() => server.close());

const METADATA = [
  "http://169.254.169.254/latest/meta-data/",
  "http://169.254.169.254./",
  "http://2852039166/",
  "http://0xa9fea9fe/",
  "http://0251.0376.0251.0376/",
  "http://169.254.43518/",
  "http://0xa9.254.0251.254/",
  "http://①⑥⑨.254.169.254/",
  "http://[::ffff:169.254.169.254]/",
  "http://[::ffff:a9fe:a9fe]/",
  "http://[0:0:0:0:0:ffff:a9fe:a9fe]/",
  "http://[::169.254.169.254]/",
  "http://[64:ff9b::169.254.169.254]/",
  "http://[2002:a9fe:a9fe::1]/",
  "http://[fe80::1]/",
  "http://[febf::1]/",
  "http://[fd00:ec2::254]/",
  "http://[fd20:ce::254]/",
  "http://169.254.170.2/v2/credentials",
  "http://100.100.100.200/",
  "http://192.0.0.192/",
  "http://168.63.129.16/",
];
const NOBODY = [
  "http://0/",
  "http://0.0.0.0/",
  "http://[::]/",
  "http://255.255.255.255/",
  "http://224.0.0.1/",
  "http://[ff02::1]/",
];

test.each([...METADATA, ...NOBODY])("%s is refused", async (address) => {
  expect(hostProblem(new URL(address))).toBeDefined();
  const asked = source({ type: "Prometheus", address });
  const reading = await asked.read(scalar("up"));
  asked.close();
  expect(reading.kind).toBe("Error");
  expect(reading.message).toMatch(/address must not be (a link-local|a cloud's|no address|an address of a transition)/);
});

test.each([
  "http://127.0.0.1:9090/",
  "http://[::1]:9090/",
  "http://10.96.0.10/",
  "http://192.168.1.1/",
  "http://100.64.0.1/",
  "http://[fd12:3456::1]/",
  "http://[2606:4700::1111]/",
  "http://[64:ff9b::10.0.0.1]/",
  "http://8.8.8.8/",
  "http://prometheus.monitoring:9090/",
])("%s is not", (address) => {
  expect(hostProblem(new URL(address))).toBeUndefined();
});

const v4 = (address: string): LookupAddress => ({ address, family: 4 });

/** What a request to a name comes to, where the name leads to these addresses, one list for each time that it is looked up. */
async function requests(...answers: LookupAddress[][]): Promise<string[]> {
  const resolve: Parameters<typeof guardedLookup>[0] = (_name, _options, callback) => callback(null, answers.shift() ?? []);
  const outcomes: string[] = [];
  for (const _ of [...answers]) {
    const agent = new Agent({ connect: { lookup: guardedLookup(resolve) } });
    const request = {
      url: new URL(`http://metadata.example:${server.port}/`),
      method: "POST" as const,
      headers: {},
      timeoutMs: 5000,
      maxBodyBytes: 1024,
      signal: new AbortController().signal,
    };
    outcomes.push(
      await exchange(agent, systemClock, request).then(
        ({ status }) => `HTTP ${status}`,
        (error: Error) => error.message,
      ),
    );
    await agent.destroy();
  }
  return outcomes;
}

const REFUSED = "the host name leads to an address that must not be called";

test("a name that leads there is refused when it is connected to, also beside a good address", async () => {
  const before = server.requests.length;
  expect(await requests([v4("169.254.169.254")])).toEqual([REFUSED]);
  expect(await requests([v4("127.0.0.1"), v4("169.254.169.254")])).toEqual([REFUSED]);
  expect(await requests([{ address: "::ffff:169.254.169.254", family: 6 }])).toEqual([REFUSED]);
  expect(server.requests.length).toBe(before);
});

test("a name that leads elsewhere the next time (DNS rebinding) is looked at each time that it is connected to", async () => {
  expect(await requests([v4("127.0.0.1")], [v4("169.254.169.254")], [v4("127.0.0.1")])).toEqual([
    "HTTP 200",
    REFUSED,
    "HTTP 200",
  ]);
});

test("what is no address at all is no problem of addresses: it is not connected to", () => {
  expect(addressProblem("127.0.0.1")).toBeUndefined();
  expect(addressProblem("::1")).toBeUndefined();
  expect(addressProblem("::2")).toBeDefined();
});
