import { mkdir, readFile, symlink, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { ArtifactError } from "../../src/artifacts/errors.ts";
import { type FetchOptions, fetchArtifact } from "../../src/artifacts/fetch.ts";
import { entries, folder, serve, sha256 } from "./support.ts";

const WEIGHTS = Buffer.alloc(300_000, "weights");
const DIGEST = sha256(WEIGHTS);

type Given = Partial<FetchOptions> & { uri: string };
const run = async (given: Given & { destination: string }) => fetchArtifact({ timeoutMs: 15_000, attempts: 1, ...given });

/** The error of a fetch into a new folder, after checking that nothing at all was left there. */
async function failure(given: Given): Promise<ArtifactError> {
  const destination = await folder();
  const error = await run({ digest: DIGEST, ...given, destination }).then(
    () => expect.fail("the fetch must fail"),
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(ArtifactError);
  expect(await entries(destination)).toEqual([]);
  return error as ArtifactError;
}

describe("one file over http", () => {
  it("is there under its own name, complete and verified, and asks for bytes as they are", async () => {
    const server = await serve((_request, response) => response.end(WEIGHTS));
    const destination = await folder();
    const seen: number[] = [];
    const fetched = await run({
      uri: `${server.url}/digits/model.onnx?x=1`,
      digest: DIGEST,
      sizeBytes: WEIGHTS.length,
      destination,
      onProgress: ({ bytes }) => seen.push(bytes),
    });
    expect(fetched).toMatchObject({ path: path.join(destination, "model.onnx"), bytes: WEIGHTS.length, outcome: "Fetched" });
    expect(await readFile(fetched.path)).toEqual(WEIGHTS);
    expect(await entries(destination)).toEqual(["model.onnx"]);
    expect(seen.at(-1)).toBe(WEIGHTS.length);
    expect(server.headers[0]?.["accept-encoding"]).toBe("identity");
  });

  it("is not downloaded again when it is there and verified; anything else in its place is replaced", async () => {
    const server = await serve((_request, response) => response.end(WEIGHTS));
    const destination = await folder();
    const given = { uri: `${server.url}/m.bin`, digest: DIGEST, destination };
    await run(given);
    expect(await run(given)).toMatchObject({ outcome: "Present", bytes: WEIGHTS.length });
    expect(server.asked).toHaveLength(1);
    await writeFile(path.join(destination, "m.bin"), "tampered with");
    expect(await run(given)).toMatchObject({ outcome: "Fetched" });
    expect(await readFile(path.join(destination, "m.bin"))).toEqual(WEIGHTS);
  });

  it("verify Once trusts a verified volume while size and time are unchanged", async () => {
    const server = await serve((_request, response) => response.end(WEIGHTS));
    const destination = await folder();
    const given = { uri: `${server.url}/m.bin`, digest: DIGEST, destination, verify: "Once" as const };
    await run(given);
    const target = path.join(destination, "m.bin");
    const time = new Date(1_700_000_000_000);
    await utimes(target, time, time);
    expect(await run(given)).toMatchObject({ outcome: "Present" });
    // Same size and time, other bytes: exactly what Once does not see, and Always does.
    await writeFile(target, Buffer.alloc(WEIGHTS.length, "x"));
    await utimes(target, time, time);
    expect(await run(given)).toMatchObject({ outcome: "Present" });
    expect(await run({ ...given, verify: "Always" })).toMatchObject({ outcome: "Fetched" });
    // A changed file is read again even with Once.
    await writeFile(target, "short");
    expect(await run(given)).toMatchObject({ outcome: "Fetched" });
  });

  it("a link in its place is not followed", async () => {
    const server = await serve((_request, response) => response.end(WEIGHTS));
    const destination = await folder();
    const outside = path.join(await folder(), "outside");
    await writeFile(outside, WEIGHTS);
    await symlink(outside, path.join(destination, "m.bin"));
    expect(await run({ uri: `${server.url}/m.bin`, digest: DIGEST, destination })).toMatchObject({ outcome: "Fetched" });
    expect(await readFile(outside)).toEqual(WEIGHTS);
  });
});

describe("a wrong digest, a short or over-long file, a redirect to elsewhere never reaches a server", () => {
  it("wrong digest", async () => {
    const server = await serve((_request, response) => response.end(Buffer.alloc(WEIGHTS.length, "evil")));
    const error = await failure({ uri: `${server.url}/m.bin`, sizeBytes: WEIGHTS.length });
    expect(error).toMatchObject({ reason: "DigestMismatch", fault: "Artifact", exitCode: 65 });
    expect(error.message).toContain(DIGEST);
  });

  it("announced with another size: not even downloaded", async () => {
    const server = await serve((_request, response) => response.end(WEIGHTS));
    const error = await failure({ uri: `${server.url}/m.bin`, sizeBytes: WEIGHTS.length + 1 });
    expect(error).toMatchObject({ reason: "SizeMismatch", fault: "Artifact" });
  });

  it("short, though the server ends it properly", async () => {
    const server = await serve((_request, response) => {
      response.write(WEIGHTS.subarray(0, 1000));
      response.end();
    });
    expect(await failure({ uri: `${server.url}/m.bin`, sizeBytes: WEIGHTS.length })).toMatchObject({ reason: "SizeMismatch" });
  });

  it("over-long: given up at the first byte too many, however long it would go on", async () => {
    let sent = 0;
    const server = await serve((_request, response) => {
      const more = () => {
        if (response.destroyed) return;
        sent += WEIGHTS.length;
        response.write(WEIGHTS, () => setImmediate(more));
      };
      more();
    });
    expect(await failure({ uri: `${server.url}/m.bin`, sizeBytes: WEIGHTS.length })).toMatchObject({ reason: "SizeMismatch" });
    expect(sent).toBeLessThan(200 * WEIGHTS.length);
  });

  it("redirect to another server: that one sees no request", async () => {
    const elsewhere = await serve((_request, response) => response.end(WEIGHTS));
    const server = await serve((_request, response) => response.writeHead(302, { location: `${elsewhere.url}/m.bin` }).end());
    const error = await failure({ uri: `${server.url}/m.bin` });
    expect(error).toMatchObject({ reason: "RedirectRefused", fault: "Artifact", exitCode: 65 });
    expect(error.message).toContain(new URL(elsewhere.url).host);
    expect(elsewhere.asked).toEqual([]);
  });

  it("redirect to an allowed host is followed, without the token", async () => {
    const elsewhere = await serve((_request, response) => response.end(WEIGHTS));
    const server = await serve((_request, response) =>
      response.writeHead(307, { location: `${elsewhere.url}/signed?key=1` }).end(),
    );
    const destination = await folder();
    const allowedHosts = [new URL(server.url).host, new URL(elsewhere.url).host];
    await run({ uri: `${server.url}/m.bin`, digest: DIGEST, destination, allowedHosts, token: "secret-token" });
    expect(server.headers[0]?.authorization).toBe("Bearer secret-token");
    expect(elsewhere.headers[0]?.authorization).toBeUndefined();
  });

  it("redirect within the same server is followed, but not for ever, and never to a file", async () => {
    const server = await serve((request, response) => {
      if (request.url === "/old") response.writeHead(301, { location: "/m.bin" }).end();
      else if (request.url === "/loop") response.writeHead(302, { location: "/loop" }).end();
      else if (request.url === "/local") response.writeHead(302, { location: "file:///etc/passwd" }).end();
      else response.end(WEIGHTS);
    });
    const destination = await folder();
    expect(await run({ uri: `${server.url}/old`, digest: DIGEST, destination })).toMatchObject({ outcome: "Fetched" });
    expect(await failure({ uri: `${server.url}/loop` })).toMatchObject({ reason: "ArtifactUnavailable" });
    expect(await failure({ uri: `${server.url}/local`, allowFile: true })).toMatchObject({ reason: "RedirectRefused" });
  });
});

describe("a server that does not answer is a sick source and is tried again", () => {
  it.each([
    [503, "ArtifactUnavailable", "Source"],
    [429, "ArtifactUnavailable", "Source"],
    [400, "ArtifactUnavailable", "Source"],
    [204, "ArtifactUnavailable", "Source"],
    [401, "ArtifactUnauthorized", "Source"],
    [403, "ArtifactUnauthorized", "Source"],
    [404, "ArtifactNotFound", "Artifact"],
    [410, "ArtifactNotFound", "Artifact"],
  ] as const)("HTTP %i is %s, the fault of the %s", async (status, reason, fault) => {
    const server = await serve((_request, response) => response.writeHead(status).end());
    const error = await failure({ uri: `${server.url}/m.bin?signature=secret` });
    expect(error).toMatchObject({ reason, fault, exitCode: fault === "Artifact" ? 65 : 75 });
    expect(error.message).not.toContain("secret");
  });

  it("refused", async () => {
    const server = await serve(() => {});
    // The port next to a listening one is not certain to be free; a closed one of our own is.
    const closed = await closedPort();
    expect(await failure({ uri: `http://127.0.0.1:${closed}/m.bin` })).toMatchObject({ reason: "ArtifactUnavailable" });
    expect(server.asked).toEqual([]);
  });

  it("an unknown name", async () => {
    expect(await failure({ uri: "http://weights.invalid/m.bin", timeoutMs: 5000 })).toMatchObject({
      reason: "ArtifactUnavailable",
    });
  });

  it("never answers: the silence has a limit", async () => {
    const server = await serve(() => {});
    const error = await failure({ uri: `${server.url}/m.bin`, idleMs: 100 });
    expect(error).toMatchObject({ reason: "ArtifactUnavailable", message: "no byte for 0.1 s" });
  });

  it("stops in the middle: the silence has a limit", async () => {
    const server = await serve((_request, response) => response.write(WEIGHTS.subarray(0, 100)));
    expect(await failure({ uri: `${server.url}/m.bin`, idleMs: 150 })).toMatchObject({ message: "no byte for 0.15 s" });
  });

  it("trickles: the whole has a limit", async () => {
    const server = await serve((_request, response) => {
      const timer = setInterval(() => response.write("x"), 20);
      response.on("close", () => clearInterval(timer));
    });
    const error = await failure({ uri: `${server.url}/m.bin`, idleMs: 5000, timeoutMs: 300 });
    expect(error).toMatchObject({ reason: "ArtifactUnavailable", message: "not finished after 0.3 s" });
  });

  it("broken off in the middle, with a length and with chunks", async () => {
    const server = await serve((request, response) => {
      if (request.url === "/length") response.writeHead(200, { "content-length": WEIGHTS.length });
      response.write(WEIGHTS.subarray(0, 1000), () => response.destroy());
    });
    const sizeBytes = WEIGHTS.length;
    expect(await failure({ uri: `${server.url}/length`, sizeBytes })).toMatchObject({ reason: "ArtifactUnavailable" });
    expect(await failure({ uri: `${server.url}/chunks`, sizeBytes })).toMatchObject({ reason: "ArtifactUnavailable" });
  });

  it("ended without saying how long it is: a cut can't be told from the end, so nothing is proven against it", async () => {
    const server = await serve((request) => {
      request.socket.end(`HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n${"w".repeat(50)}`);
    });
    expect(await failure({ uri: `${server.url}/m.bin`, sizeBytes: 99 })).toMatchObject({ reason: "ArtifactUnavailable" });
    expect(await failure({ uri: `${server.url}/m.bin` })).toMatchObject({ reason: "ArtifactUnavailable" });
  });

  it("compressed, though none was asked for", async () => {
    const server = await serve((_request, response) => response.writeHead(200, { "content-encoding": "gzip" }).end(WEIGHTS));
    expect(await failure({ uri: `${server.url}/m.bin` })).toMatchObject({ reason: "ArtifactUnavailable" });
  });

  it("answers at the second try", async () => {
    let tries = 0;
    const server = await serve((_request, response) => {
      if (++tries === 1) response.writeHead(503).end();
      else response.end(WEIGHTS);
    });
    const destination = await folder();
    expect(await run({ uri: `${server.url}/m.bin`, digest: DIGEST, destination, attempts: 2 })).toMatchObject({
      outcome: "Fetched",
    });
    expect(tries).toBe(2);
  });
});

describe("a directory", () => {
  const FILES = { "config.pbtxt": "name: x", "1/model.onnx": "one", "1/model.data": "more" };
  const list = Object.entries(FILES).map(([name, content]) => ({
    path: name,
    digest: sha256(content),
    sizeBytes: content.length,
  }));
  const repository = (broken?: string) =>
    serve((request, response) => {
      const name = decodeURIComponent((request.url ?? "").replace(/^\/repo\//, "").replace(/\?.*/, ""));
      const content = (FILES as Record<string, string>)[name];
      if (content === undefined) response.writeHead(404).end();
      else response.end(name === broken ? content.toUpperCase() : content);
    });

  it("is there as a whole, under the last segment of its URI", async () => {
    const server = await repository();
    const destination = await folder();
    const given = { uri: `${server.url}/repo/?v=2`, files: list, sizeBytes: 14, destination };
    expect(await run(given)).toMatchObject({ path: path.join(destination, "repo"), bytes: 14, outcome: "Fetched" });
    expect(await entries(destination)).toEqual(["repo", "repo/1", "repo/1/model.data", "repo/1/model.onnx", "repo/config.pbtxt"]);
    expect(await run(given)).toMatchObject({ outcome: "Present" });
    expect(server.asked).toHaveLength(3);
  });

  it("one wrong file, or other sizes together, and nothing of it is there", async () => {
    const server = await repository("1/model.data");
    expect(await failure({ uri: `${server.url}/repo`, digest: undefined, files: list })).toMatchObject({
      reason: "DigestMismatch",
    });
    expect(await failure({ uri: `${server.url}/repo`, digest: undefined, files: list, sizeBytes: 15 })).toMatchObject({
      reason: "SizeMismatch",
    });
    const sizeless = list.map(({ path: name, digest }) => ({ path: name, digest }));
    const whole = await repository();
    for (const sizeBytes of [5, 13, 15]) {
      expect(await failure({ uri: `${whole.url}/repo`, digest: undefined, files: sizeless, sizeBytes })).toMatchObject({
        reason: "SizeMismatch",
      });
    }
  });

  it("a file too many in the volume, or a changed one, and the whole is fetched again", async () => {
    const server = await repository();
    const destination = await folder();
    const given = { uri: `${server.url}/repo`, files: list, destination };
    await run(given);
    await mkdir(path.join(destination, "repo", "2"));
    await writeFile(path.join(destination, "repo", "2", "model.onnx"), "a stray version that a server would load");
    expect(await run(given)).toMatchObject({ outcome: "Fetched" });
    expect(await entries(destination)).toEqual(["repo", "repo/1", "repo/1/model.data", "repo/1/model.onnx", "repo/config.pbtxt"]);
  });

  it.each([["../outside"], ["a/../../outside"], ["/etc/passwd"], ["a//b"], ["./a"], ["a\\..\\b"], ["a\u0000b"], [""], [".."]])(
    "a path that leaves its folder is refused before anything is asked: %j",
    async (bad) => {
      const server = await repository();
      const files = [...list, { path: bad, digest: DIGEST }];
      expect(await failure({ uri: `${server.url}/repo`, digest: undefined, files })).toMatchObject({
        reason: "BadFiles",
        fault: "Artifact",
      });
      expect(server.asked).toEqual([]);
    },
  );

  it.each([[["a", "A"]], [["a", "a/b"]], [["x/y", "X"]], [[]]])(
    "files that can't be there together are refused: %j",
    async (paths) => {
      const files = paths.map((name) => ({ path: name, digest: DIGEST }));
      expect(await failure({ uri: "http://127.0.0.1:9/repo", digest: undefined, files })).toMatchObject({ reason: "BadFiles" });
    },
  );
});

describe("what is asked for", () => {
  it("an unknown scheme is refused by naming those that are supported", async () => {
    const error = await failure({ uri: "s3://models/m.bin" });
    expect(error).toMatchObject({ reason: "UnsupportedScheme", fault: "Artifact" });
    expect(error.message).toMatch(/s3.*supported: https, http, file/);
  });

  it.each([
    ["no-uri", "BadUri"],
    ["http://user:secret@127.0.0.1:9/m.bin", "BadUri"],
  ])("%s is refused", async (uri, reason) => {
    const error = await failure({ uri });
    expect(error.reason).toBe(reason);
    expect(error.message).not.toContain("secret");
  });

  it("a digest that is none is refused", async () => {
    expect(await failure({ uri: "http://127.0.0.1:9/m", digest: "sha256:ABC" })).toMatchObject({ reason: "BadDigest" });
  });

  it("a host that is not allowed is asked nothing", async () => {
    const server = await serve((_request, response) => response.end(WEIGHTS));
    const error = await failure({ uri: `${server.url}/m.bin`, allowedHosts: ["models.example.com"] });
    expect(error).toMatchObject({ reason: "HostNotAllowed", fault: "Artifact" });
    expect(server.asked).toEqual([]);
  });

  it("file: only where the installation says so", async () => {
    const file = path.join(await folder(), "m.bin");
    await writeFile(file, WEIGHTS);
    const uri = pathToFileURL(file).href;
    expect(await failure({ uri })).toMatchObject({ reason: "UnsupportedScheme" });
    expect(await run({ uri, digest: DIGEST, destination: await folder(), allowFile: true })).toMatchObject({
      outcome: "Fetched",
    });
    expect(await failure({ uri: `${uri}x`, allowFile: true })).toMatchObject({ reason: "ArtifactNotFound" });
    expect(await failure({ uri: pathToFileURL(path.dirname(file)).href, allowFile: true })).toMatchObject({
      reason: "ArtifactNotFound",
    });
    expect(await failure({ uri: "file://elsewhere/m.bin", allowFile: true })).toMatchObject({ reason: "BadUri" });
  });
});

describe("the volume", () => {
  it("its own leftovers go at once, those of others when nobody can be writing them any more", async () => {
    const server = await serve((_request, response) => response.end(WEIGHTS));
    const destination = await folder();
    const old = new Date(Date.now() - 2 * 3_600_000);
    for (const name of [".m.bin.me.1.partial", ".m.bin.other.1.partial", ".m.bin.other.2.partial", ".n.bin.me.1.partial"]) {
      await writeFile(path.join(destination, name), "half");
    }
    await utimes(path.join(destination, ".m.bin.other.2.partial"), old, old);
    await run({ uri: `${server.url}/m.bin`, digest: DIGEST, destination, owner: "me" });
    expect(await entries(destination)).toEqual([".m.bin.other.1.partial", ".n.bin.me.1.partial", "m.bin"]);
  });

  it("two at once into one volume: both succeed", async () => {
    const server = await serve((_request, response) => response.end(WEIGHTS));
    const destination = await folder();
    const given = { uri: `${server.url}/m.bin`, digest: DIGEST, destination };
    await Promise.all(["a", "b", "c"].map((owner) => run({ ...given, owner })));
    expect(await entries(destination)).toEqual(["m.bin"]);
  });

  it("that is not there is nobody's model's fault", async () => {
    const error = await run({ uri: "http://127.0.0.1:9/m", digest: DIGEST, destination: "/nonexistent/models" }).catch(
      (e: unknown) => e,
    );
    expect(error).toMatchObject({ reason: "VolumeUnavailable", fault: "Source", exitCode: 75 });
  });
});

async function closedPort(): Promise<number> {
  const { createServer } = await import("node:net");
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address ? address.port : 1;
}
