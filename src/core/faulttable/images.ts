// What images and weights show. Words of registries and runtimes are those that they use.

import { cluster, type FaultRow, fetched, init, own, waiting } from "./row.ts";

const PULL = "waiting `ErrImagePull`, `ImagePullBackOff`";

export const IMAGE_ROWS: readonly FaultRow[] = [
  own(
    "the weights are not what the version names",
    "`rollguard fetch` ends with 65",
    "DigestMismatch",
    fetched(65, "DigestMismatch", "sha256:… in place of sha256:…"),
  ),
  own(
    "the weights are longer or shorter than the version says",
    "`rollguard fetch` ends with 65",
    "SizeMismatch",
    fetched(65, "SizeMismatch", "10 bytes, expected 12"),
  ),
  own(
    "the weights are not there",
    "`rollguard fetch` ends with 65",
    "ArtifactNotFound",
    fetched(65, "ArtifactNotFound", "HTTP 404"),
  ),
  cluster(
    "the artifact's server can't be reached",
    "`rollguard fetch` ends with 75",
    "ArtifactUnavailable",
    fetched(75, "ArtifactUnavailable", "ECONNREFUSED"),
  ),
  cluster(
    "the artifact's server lets nobody in",
    "`rollguard fetch` ends with 75",
    "ArtifactUnauthorized",
    fetched(75, "ArtifactUnauthorized", "HTTP 403"),
  ),
  cluster("no room for the weights", "`rollguard fetch` ends with 75", "DiskFull", fetched(75, "DiskFull", "ENOSPC")),
  cluster(
    "the fetch ends in another way",
    "`rollguard fetch` ends otherwise",
    "ArtifactUnavailable",
    init("rollguard-fetch", { terminated: { exitCode: 137, reason: "OOMKilled", message: "" } }, 1),
    "unknown never quarantines",
  ),
  own(
    "no such image (containerd)",
    PULL,
    "ImageNotFound",
    waiting(
      "ErrImagePull",
      'rpc error: code = NotFound desc = failed to pull and unpack image "registry.example/m:9": failed to resolve reference "registry.example/m:9": registry.example/m:9: not found',
    ),
  ),
  own(
    "no such image (CRI-O)",
    PULL,
    "ImageNotFound",
    waiting("ErrImagePull", "reading manifest 9 in registry.example/m: manifest unknown: manifest unknown"),
  ),
  own(
    "no such image (Docker)",
    PULL,
    "ImageNotFound",
    waiting(
      "ImagePullBackOff",
      "Error response from daemon: manifest for registry.example/m:9 not found: manifest unknown: manifest unknown",
    ),
  ),
  own(
    "no build of the image for the node's architecture",
    PULL,
    "ImageNotFound",
    waiting("ErrImagePull", "no match for platform in manifest sha256:ab: not found"),
  ),
  cluster(
    "an image that is private or not there: the registry says the same of both",
    PULL,
    "ImageUnavailable",
    waiting(
      "ErrImagePull",
      "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
    ),
    "a pull secret may be missing",
  ),
  cluster(
    "the registry asks for credentials",
    PULL,
    "ImageUnavailable",
    waiting("ErrImagePull", "failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized"),
  ),
  cluster(
    "the registry's name is not found",
    PULL,
    "ImageUnavailable",
    waiting("ErrImagePull", "dial tcp: lookup registry.example on 10.96.0.10:53: no such host"),
  ),
  cluster(
    "the registry does not answer",
    PULL,
    "ImageUnavailable",
    waiting("ImagePullBackOff", 'Head "https://registry.example/v2/m/manifests/9": dial tcp 192.0.2.1:443: i/o timeout'),
  ),
  cluster(
    "the registry refuses for now",
    PULL,
    "ImageUnavailable",
    waiting("ErrImagePull", "unexpected status from GET request: 429 Too Many Requests: toomanyrequests"),
  ),
  cluster(
    "the registry is sick",
    PULL,
    "ImageUnavailable",
    waiting("ErrImagePull", "unexpected status from HEAD request: 503 Service Unavailable"),
  ),
  cluster(
    "the registry's certificate is not trusted",
    PULL,
    "ImageUnavailable",
    waiting("ErrImagePull", "tls: failed to verify certificate: x509: certificate signed by unknown authority"),
  ),
  cluster(
    "no room for the image",
    PULL,
    "ImageUnavailable",
    waiting("ErrImagePull", "write /var/lib/containerd/x: no space left on device"),
  ),
  cluster(
    "an image that must be on the node and is not",
    "waiting `ErrImageNeverPull`",
    "ImageUnavailable",
    waiting("ErrImageNeverPull", 'Container image "m:9" is not present with pull policy of Never'),
  ),
  cluster(
    "the image's signature is not accepted",
    "waiting `SignatureValidationFailed`",
    "ImageUnavailable",
    waiting("SignatureValidationFailed", "Source image rejected: A signature was required, but no signature exists"),
  ),
  own(
    "the image's name can't be read",
    "waiting `InvalidImageName`",
    "InvalidImageName",
    waiting("InvalidImageName", 'Failed to apply default image tag "M::9": couldn\'t parse image name'),
  ),
];
