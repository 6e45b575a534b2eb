// Our kinds in the sandbox: the good manifests are taken, and the bad ones refused with the words they promise.
import { systemClock } from "../../src/clock.ts";
import { ApiServer } from "../../src/sandbox/apiserver/index.ts";
import { describeManifests } from "./manifests.ts";

describeManifests("our kinds in the sandbox", async () => {
  const server = new ApiServer({ clock: systemClock });
  const dispatcher = server.dispatcher();
  return { url: "http://sandbox.invalid", dispatcher, close: () => dispatcher.close() };
});
