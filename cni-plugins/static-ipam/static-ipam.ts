import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { field } from '#api/cni/json-field.ts';
import { parseDns, parseRoute, type CniIp, type CniResult } from '#api/cni/result.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { cidrContains, formatIp, parseCidr, parseIp, type Ip } from '#base/ip.ts';
import type { CniPlugin, NetworkCall } from '#cni-plugins/skel/plugin.ts';

/** Gives the addresses that the configuration, CNI_ARGS or the capability `ips` say, and keeps nothing. */
export const staticIpam: CniPlugin = {
  name: 'static',
  async add(call) {
    return planStatic(call, call.args);
  },
  async del() {
    // Nothing was kept.
  },
  async check(call) {
    const { ips } = planStatic(call, call.args);
    const has = new Set(call.prevResult?.ips.map(({ address }) => address));
    const missing = ips.find(({ address }) => !has.has(address));
    if (missing !== undefined)
      throw cniError(cniErrorCode.unknownContainer, `static CHECK: prevResult has no ${missing.address}`);
  },
  async gc() {
    // Nothing was kept.
  },
  async status() {
    // Needs nothing.
  },
};

/**
 * The addresses of the configuration and of CNI_ARGS (`IP=`, several with commas), in whose stead are those of the capability, else of
 * `args.cni`. A gateway of CNI_ARGS (`GATEWAY=`) is that of its addresses in whose subnet it is. Pure.
 */
export function planStatic(call: NetworkCall, args: Readonly<Record<string, string>>): CniResult {
  const ipam = field.object(call.config, 'ipam') ?? {};
  const runtime = field.object(call.config, 'runtimeConfig') ?? {};
  const cniArgs = field.object(field.object(call.config, 'args') ?? {}, 'cni') ?? {};
  const asked = [field.strings(runtime, 'ips'), field.strings(cniArgs, 'ips')].find(
    (texts) => texts.length > 0,
  );
  const gateways = listOf(args['GATEWAY']).map(parseGateway);
  const given = [
    ...field.objects(ipam, 'addresses').map(parseAddress),
    ...listOf(args['IP']).map((address) => withGateway(parseAddress({ address }), gateways)),
  ];
  const ips = asked?.map((address) => parseAddress({ address })) ?? given;
  if (ips.length === 0) throw invalid('no address; say ipam.addresses');
  return {
    interfaces: [],
    ips,
    routes: field.objects(ipam, 'routes').map(parseRoute),
    dns: parseDns(field.object(ipam, 'dns') ?? {}),
  };
}

function parseAddress(item: JsonObject): CniIp {
  const address = field.string(item, 'address') ?? '';
  const gateway = field.string(item, 'gateway');
  if (parseCidr(address) === undefined || !address.includes('/'))
    throw invalid(`address ${JSON.stringify(address)} is not one with its prefix, as 10.1.2.3/24`);
  if (gateway !== undefined && parseIp(gateway) === undefined)
    throw invalid(`gateway ${JSON.stringify(gateway)} is not an address`);
  return gateway === undefined ? { address } : { address, gateway };
}

const listOf = (text = ''): readonly string[] =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

function parseGateway(text: string): Ip {
  const ip = parseIp(text);
  if (ip !== undefined) return ip;
  throw invalid(`GATEWAY ${JSON.stringify(text)} of CNI_ARGS is not an address`);
}

function withGateway(ip: CniIp, gateways: readonly Ip[]): CniIp {
  const cidr = parseCidr(ip.address);
  const gateway = gateways.findLast((each) => cidr !== undefined && cidrContains(cidr, each));
  return gateway === undefined ? ip : { ...ip, gateway: formatIp(gateway) };
}

function invalid(message: string): Error {
  return cniError(cniErrorCode.invalidNetworkConfig, `static: ${message}`);
}
