// Where no request may go, whoever wrote the address: what a machine tells about itself, and what is nobody's in particular.
// Looked at for what is connected to, after the name was looked up, so that no name can lead there either.

import { type LookupAddress, type LookupAllOptions, lookup } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";

/**
 * Networks by what they are. RFC 6890 has the special-purpose ones; what clouds tell a machine about itself, credentials included, is at link-local
 * addresses and at those that their documentation names: AWS fd00:ec2::/32, Google fd20:ce::254, Alibaba 100.100.100.200, Oracle 192.0.0.192, Azure 168.63.129.16.
 */
const REFUSED: Readonly<Record<string, readonly string[]>> = {
  "a link-local address": ["169.254.0.0/16", "fe80::/10", "fec0::/10", "64:ff9b::169.254.0.0/112"],
  "a cloud's metadata service": [
    "100.100.100.200/32",
    "192.0.0.192/32",
    "168.63.129.16/32",
    "fd00:ec2::/32",
    "fd20:ce::254/128",
    "64:ff9b::100.100.100.200/128",
    "64:ff9b::192.0.0.192/128",
    "64:ff9b::168.63.129.16/128",
  ],
  "no address of a host": ["0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "::/128", "ff00::/8"],
  // IPv4 in other clothes: compatible, Teredo and 6to4 addresses are out of use. Mapped ones count as what they map.
  "an address of a transition mechanism": ["::/96", "2001::/32", "2002::/16"],
};

const familyOf = (address: string): "ipv4" | "ipv6" => (isIP(address) === 6 ? "ipv6" : "ipv4");

const LISTS = Object.entries(REFUSED).map(([what, networks]) => ({ what, list: blockList(networks) }));

function blockList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", prefix] = network.split("/");
    list.addSubnet(address, Number(prefix), familyOf(address));
  }
  return list;
}

/** What is wrong with an IP address, such as `a link-local address`; undefined: it may be connected to. */
export function addressProblem(address: string): string | undefined {
  if (address === "::1") return undefined;
  return LISTS.find(({ list }) => list.check(address, familyOf(address)))?.what;
}

/** As `addressProblem`, of the host of a URL, which may be a name: that is looked at when it was looked up. */
export function hostProblem({ hostname }: URL): string | undefined {
  const address = hostname.replace(/^\[|\]$/g, "");
  return isIP(address) === 0 ? undefined : addressProblem(address);
}

/** The name leads to an address that no request may go to. */
export class AddressRefused extends Error {
  readonly code = "ADDRESS_REFUSED";
}

type Resolve = (hostname: string, options: LookupAllOptions, callback: ResolveCallback) => void;
type ResolveCallback = (error: NodeJS.ErrnoException | null, found: LookupAddress[]) => void;

/**
 * For `connect.lookup` of an Agent: what is connected to is what was looked at, and one bad address among those of a name is enough to
 * refuse it. IP addresses don't come here; see `hostProblem`.
 * @param resolve asks for all addresses of a name
 */
export function guardedLookup(resolve: Resolve = lookup): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, found) => {
      if (error) return callback(error, []);
      const problem = found.map(({ address }) => addressProblem(address)).find((one) => one !== undefined);
      if (problem !== undefined) return callback(new AddressRefused(`the host name leads to ${problem}`), []);
      const [first] = found;
      return options.all ? callback(null, found) : callback(null, first?.address ?? "", first?.family);
    });
  };
}
