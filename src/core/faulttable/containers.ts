// What containers show: how they end, what keeps them from starting.

import { cluster, type FaultRow, init, looping, own, pending, waiting } from "./row.ts";

export const CONTAINER_ROWS: readonly FaultRow[] = [
  own("it ends again and again", "`CrashLoopBackOff`", "CrashLoop", looping(3, { exitCode: 1, reason: "Error" })),
  own(
    "it ends without an error again and again",
    "`CrashLoopBackOff`",
    "CrashLoop",
    looping(3, { exitCode: 0, reason: "Completed" }),
    "a server that ends serves nobody",
  ),
  own(
    "its liveness or startup probe has it killed again and again",
    "`CrashLoopBackOff`, exit code 137 or 143",
    "CrashLoop",
    looping(3, { exitCode: 137, reason: "Error" }),
  ),
  own("out of memory again and again", "last ended `OOMKilled`", "OOMKilled", looping(3, { exitCode: 137, reason: "OOMKilled" })),
  own(
    "an init container of the template's own ends with an error again and again",
    "`Init:CrashLoopBackOff`",
    "CrashLoop",
    init("prepare", { waiting: { reason: "CrashLoopBackOff" } }, 3),
  ),
  own(
    "it restarted, fewer times than `restarts.failures`, and is not ready at the deadline",
    "restarts",
    "NeverReady",
    looping(2, { exitCode: 1, reason: "Error" }),
    "once is an accident: at the deadline, not before",
  ),
  own(
    "readiness fails in a running container until the deadline",
    "running, not ready",
    "NeverReady",
    { ...pending({ running: { startedAt: "2026-11-24T10:00:00Z" } }), phase: "Running" },
    "at the deadline, not before",
  ),
  cluster(
    "a Secret that is not there",
    "waiting `CreateContainerConfigError`",
    "CreateContainerConfigError",
    waiting("CreateContainerConfigError", 'secret "token" not found'),
    "it may yet be made",
  ),
  cluster(
    "a key that is not in its Secret or ConfigMap",
    "waiting `CreateContainerConfigError`",
    "CreateContainerConfigError",
    waiting("CreateContainerConfigError", "couldn't find key token in Secret ns/token"),
  ),
  cluster(
    "a ConfigMap that is not there",
    "waiting `CreateContainerConfigError`",
    "CreateContainerConfigError",
    waiting("CreateContainerConfigError", 'configmap "m-r2-settings" not found'),
  ),
  own(
    "a command that is not in the image",
    "waiting `RunContainerError`, ended `StartError`",
    "ContainerCannotRun",
    pending(
      { waiting: { reason: "CrashLoopBackOff" } },
      {
        restartCount: 1,
        lastState: {
          terminated: {
            exitCode: 128,
            reason: "StartError",
            message:
              'failed to create containerd task: OCI runtime create failed: exec: "serve": executable file not found in $PATH',
          },
        },
      },
    ),
  ),
  own(
    "a command that may not be run",
    "waiting `RunContainerError`",
    "ContainerCannotRun",
    waiting("RunContainerError", 'OCI runtime create failed: exec: "/serve": permission denied'),
  ),
  own(
    "an image of another architecture",
    "waiting `RunContainerError`",
    "ContainerCannotRun",
    waiting("RunContainerError", 'exec container process "/serve": exec format error'),
  ),
  own(
    "a command that is not in the image (Docker)",
    "ended `ContainerCannotRun`",
    "ContainerCannotRun",
    looping(1, { exitCode: 127, reason: "ContainerCannotRun", message: 'exec: "serve": executable file not found in $PATH' }),
  ),
  own(
    "no command at all",
    "waiting `CreateContainerError`",
    "ContainerCannotRun",
    waiting("CreateContainerError", "failed to generate container spec: no command specified"),
  ),
  cluster(
    "the node's accelerator or driver does not start a container",
    "waiting `RunContainerError`",
    "ContainerNotStarted",
    waiting("RunContainerError", "OCI runtime create failed: nvidia-container-cli: initialization error: driver not loaded"),
  ),
  cluster(
    "the node can't make a container",
    "waiting `CreateContainerError`",
    "ContainerNotStarted",
    waiting("CreateContainerError", "context deadline exceeded"),
  ),
];
