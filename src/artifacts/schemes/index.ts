// The URI schemes that artifacts can be fetched by. A new one is a file of its own and a line here.
import { ArtifactError } from "../errors.ts";
import { fileScheme } from "./file.ts";
import { httpScheme } from "./http.ts";
import type { Scheme } from "./scheme.ts";

export const SCHEMES: readonly Scheme[] = [httpScheme, fileScheme];

/** Throws UnsupportedScheme, naming those that there are. */
export function schemeOf(uri: URL, schemes: readonly Scheme[] = SCHEMES): Scheme {
  const name = uri.protocol.slice(0, -1);
  const scheme = schemes.find(({ names }) => names.includes(name));
  if (scheme) return scheme;
  const known = schemes.flatMap(({ names }) => names).join(", ");
  throw new ArtifactError("UnsupportedScheme", `artifacts can't be fetched by ${name}: yet; supported: ${known}`);
}
