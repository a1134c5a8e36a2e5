/** The configuration that flannel's plugin makes of the node's subnet for another. Pure. */
import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { field } from '#api/cni/json-field.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import { formatCidr, networkOf, parseCidr } from '#base/ip.ts';

/** What flannel writes of a node: FLANNEL_NETWORK, FLANNEL_SUBNET and their IPv6 twins, FLANNEL_MTU, FLANNEL_IPMASQ. */
export interface SubnetEnv {
  readonly networks: readonly string[];
  readonly subnets: readonly string[];
  readonly mtu: number;
  readonly ipMasq: boolean;
}

/** `KEY=value` by line; several networks of a family with commas between. @throws {E_INVALID} */
export function parseSubnetEnv(text: string, path: string): SubnetEnv {
  const values = new Map(
    text.split('\n').map((line) => {
      const at = line.indexOf('=');
      return [line.slice(0, Math.max(at, 0)).trim(), line.slice(at + 1).trim()] as const;
    }),
  );
  const cidrs = (...names: readonly string[]): readonly string[] =>
    names.flatMap((name) => {
      const found = (values.get(name) ?? '').split(',').filter((each) => each !== '');
      const wrong = found.find((each) => parseCidr(each) === undefined);
      if (wrong !== undefined)
        throw invalid(`${path}: ${name} has ${JSON.stringify(wrong)}, which is no CIDR`);
      return found;
    });
  const networks = cidrs('FLANNEL_NETWORK', 'FLANNEL_IPV6_NETWORK');
  const subnets = cidrs('FLANNEL_SUBNET', 'FLANNEL_IPV6_SUBNET');
  const mtu = Number(values.get('FLANNEL_MTU'));
  if (networks.length === 0 || subnets.length === 0)
    throw invalid(`${path}: FLANNEL_NETWORK or FLANNEL_SUBNET is missing`);
  if (!Number.isInteger(mtu) || mtu <= 0) throw invalid(`${path}: FLANNEL_MTU is missing or no number`);
  return { networks, subnets, mtu, ipMasq: values.get('FLANNEL_IPMASQ') === 'true' };
}

/** What `delegate` says is kept, but for name and version, which are the network's, and IPAM's ranges, which are the node's. */
export function planDelegate(config: PluginConfig, env: SubnetEnv): PluginConfig {
  const given = field.object(config, 'delegate') ?? {};
  for (const name of ['name', 'ipam'])
    if (given[name] !== undefined)
      throw cniError(cniErrorCode.invalidNetworkConfig, `flannel: delegate.${name} is flannel's to say`);
  const type = field.string(given, 'type') ?? 'bridge';
  const ipam = field.object(config, 'ipam') ?? {};
  return {
    ipMasq: !env.ipMasq,
    mtu: env.mtu,
    ...(type === 'bridge' ? { isGateway: true } : {}),
    ...given,
    type,
    name: field.string(config, 'name') ?? '',
    cniVersion: config['cniVersion'],
    ...(config['runtimeConfig'] === undefined ? {} : { runtimeConfig: config['runtimeConfig'] }),
    ipam: {
      type: 'host-local',
      ...ipam,
      ranges: env.subnets.map((subnet) => [{ subnet: networkText(subnet) }]),
      routes: [...field.objects(ipam, 'routes'), ...env.networks.map((dst) => ({ dst }))],
    },
  };
}

/** flannel writes the node's own address with the prefix; a range is of the subnet. */
function networkText(cidr: string): string {
  const parsed = parseCidr(cidr);
  return parsed === undefined ? cidr : formatCidr(networkOf(parsed));
}

function invalid(message: string): Error {
  return cniError(cniErrorCode.invalidNetworkConfig, `flannel: ${message}`);
}
