import { describe, expect, it } from "vitest";
import { fetchEnvironment, serverEnvironment } from "../../src/artifacts/environment.ts";
import { artifactName, artifactPath, isAllowedHost } from "../../src/artifacts/location.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;

describe("the server container is told by environment variables (version, path, digest, revision)", () => {
  it("with a fetched file", () => {
    const artifact = { uri: "https://host/models/digits.bin", digest: DIGEST };
    expect(serverEnvironment({ version: "digits-1.0.0", revision: 3, artifact, modelPath: "/models", digest: DIGEST })).toEqual([
      { name: "ROLLGUARD_VERSION", value: "digits-1.0.0" },
      { name: "ROLLGUARD_REVISION", value: "3" },
      { name: "ROLLGUARD_MODEL_DIGEST", value: DIGEST },
      { name: "ROLLGUARD_MODEL_PATH", value: "/models" },
      { name: "ROLLGUARD_MODEL_FILE", value: "/models/digits.bin" },
    ]);
  });

  it("without a path where it loads the weights by itself", () => {
    const artifact = { uri: "hf://org/model", digest: DIGEST };
    const names = serverEnvironment({
      version: "v",
      revision: 1,
      artifact,
      modelPath: "/models",
      digest: DIGEST,
      fetched: false,
    });
    expect(names.map(({ name }) => name)).toEqual(["ROLLGUARD_VERSION", "ROLLGUARD_REVISION", "ROLLGUARD_MODEL_DIGEST"]);
  });
});

describe("the init container's variables", () => {
  it("leave out what is not given, and give a list of files as JSON", () => {
    const files = [{ path: "a/b", digest: DIGEST, sizeBytes: 5 }];
    expect(
      fetchEnvironment({ version: "v", artifact: { uri: "https://h/d/", files }, modelPath: "/m", allowedHosts: [] }),
    ).toEqual([
      { name: "ROLLGUARD_VERSION", value: "v" },
      { name: "ROLLGUARD_ARTIFACT_URI", value: "https://h/d/" },
      { name: "ROLLGUARD_ARTIFACT_FILES", value: JSON.stringify(files) },
      { name: "ROLLGUARD_MODEL_PATH", value: "/m" },
    ]);
  });

  it("escape what Kubernetes would expand", () => {
    const variables = fetchEnvironment({
      version: "v",
      artifact: { uri: "https://h/$(SECRET)/$x", digest: DIGEST },
      modelPath: "/m",
    });
    expect(variables.find(({ name }) => name === "ROLLGUARD_ARTIFACT_URI")?.value).toBe("https://h/$$(SECRET)/$$x");
  });
});

describe("the file's name", () => {
  it.each([
    ["https://host/a/model.onnx?sig=1#x", "model.onnx"],
    ["https://host/a/model%20v1.onnx", "model_v1.onnx"],
    ["https://host/a/repo/", "repo"],
    ["https://host/", "model"],
    ["https://host/..%2f..%2fetc%2fpasswd", "_.._etc_passwd"],
    ["https://host/.hidden", "hidden"],
    ["https://host/%E0%A4%A", "_E0_A4_A"],
    ["file:///weights/m.bin", "m.bin"],
  ])("of %s is %s", (uri, name) => expect(artifactName(uri)).toBe(name));

  it("stays below the model path", () => expect(artifactPath("/models/", "https://h/%2e%2e/x")).toBe("/models/x"));
});

describe("allowed hosts", () => {
  it.each([
    ["https://models.example.com/x", "models.example.com", true],
    ["https://models.example.com:8443/x", "models.example.com", true],
    ["https://models.example.com/x", "models.example.com:443", true],
    ["https://models.example.com:8443/x", "models.example.com:443", false],
    ["https://a.b.example.com/x", "*.example.com", true],
    ["https://example.com/x", "*.example.com", false],
    ["https://evilexample.com/x", "*.example.com", false],
    ["https://example.com.evil.org/x", "example.com", false],
  ])("%s by %s: %s", (uri, entry, allowed) => expect(isAllowedHost(new URL(uri), [entry])).toBe(allowed));
});
