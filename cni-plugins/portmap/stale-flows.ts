import type { CniResult } from '#api/cni/result.ts';
import { formatIp, parseCidr, parseIp, type IpFamily } from '#base/ip.ts';
import type { ConntrackMatch, FlowEnd } from '#native/nft/nft.ts';
import type { PortMapping } from './plan.ts';

const UDP = 17;

/** A mapping of UDP, and where it leads in a family. */
interface Led {
  readonly family: IpFamily;
  readonly mapping: PortMapping;
  readonly target: FlowEnd;
}

/**
 * UDP has no end of connection: a client that goes on sending to a port of the host keeps what the kernel made of its first packet. These
 * are the flows that do not lead to the container which has the port now: to the one before it, or to the host itself, as before there was
 * any. Pure.
 *
 * @param hostAddresses of the host, with their prefixes
 */
export function planFlowsAtAdd(
  mappings: readonly PortMapping[],
  result: CniResult,
  hostAddresses: readonly string[],
): readonly ConntrackMatch[] {
  const hosts = hostAddresses.flatMap((text) => parseCidr(text)?.ip ?? []);
  return ledOf(mappings, result).flatMap(({ family, mapping: { hostIp, hostPort }, target }) => {
    const everywhere = hosts.filter((ip) => ip.family === family).map(formatIp);
    return (hostIp === undefined ? everywhere : [hostIp]).map((originalDestination): ConntrackMatch => ({
      protocol: UDP,
      originalDestination,
      port: hostPort,
      replies: { except: [target] },
    }));
  });
}

/** The flows that lead to a container that goes, whichever address of the host they came by. Pure. */
export function planFlowsAtDel(
  mappings: readonly PortMapping[],
  result: CniResult,
): readonly ConntrackMatch[] {
  return ledOf(mappings, result).map(({ mapping: { hostPort }, target }) => ({
    protocol: UDP,
    port: hostPort,
    replies: { only: [target] },
  }));
}

function ledOf(mappings: readonly PortMapping[], { ips }: CniResult): readonly Led[] {
  const addresses = ips.flatMap(({ address }) => parseCidr(address)?.ip ?? parseIp(address) ?? []);
  return mappings
    .filter(({ protocol }) => protocol === 'udp')
    .flatMap((mapping) =>
      addresses
        .filter((ip) => mapping.family === undefined || mapping.family === ip.family)
        .map((ip) => ({
          family: ip.family,
          mapping,
          target: { ip: formatIp(ip), port: mapping.containerPort },
        })),
    );
}
