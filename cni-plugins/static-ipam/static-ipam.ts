import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { field } from '#api/cni/json-field.ts';
import { parseDns, parseRoute, type CniIp, type CniResult } from '#api/cni/result.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { parseCidr, parseIp } from '#base/ip.ts';
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

/** Of capability, `args.cni`, CNI_ARGS and configuration, the first that says addresses is taken whole. Pure. */
export function planStatic(call: NetworkCall, args: Readonly<Record<string, string>>): CniResult {
  const ipam = field.object(call.config, 'ipam') ?? {};
  const runtime = field.object(call.config, 'runtimeConfig') ?? {};
  const cniArgs = field.object(field.object(call.config, 'args') ?? {}, 'cni') ?? {};
  const asked = [
    field.strings(runtime, 'ips'),
    field.strings(cniArgs, 'ips'),
    (args['IP'] ?? '').split(',').filter((text) => text !== ''),
  ].find((texts) => texts.length > 0);
  const gateways = (args['GATEWAY'] ?? '').split(',').filter((text) => text !== '');
  const ips =
    asked === undefined
      ? field.objects(ipam, 'addresses').map(parseAddress)
      : asked.map((address) => withGateway(parseAddress({ address }), gateways));
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

function withGateway(ip: CniIp, gateways: readonly string[]): CniIp {
  const family = parseCidr(ip.address)?.ip.family;
  const gateway = gateways.find((text) => parseIp(text)?.family === family);
  return gateway === undefined ? ip : { ...ip, gateway };
}

function invalid(message: string): Error {
  return cniError(cniErrorCode.invalidNetworkConfig, `static: ${message}`);
}
